from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fsspec
import pytest

from airflow_provider_aiopt.data.folder import Folder, resolve_filesystem, storage_errors
from airflow_provider_aiopt.exceptions import ShardError, StorageError, StorageFullError


def inside(path: Path) -> list[str]:
    return sorted(item.name for item in path.iterdir()) if path.is_dir() else []


def files(folder: Folder) -> list[str]:
    """Every file of a folder, the hidden and temporary ones included."""
    if folder.is_local:
        return inside(Path(folder.path))
    return sorted(name.rsplit("/", 1)[-1] for name in folder.filesystem.find(folder.path))


class TestFiles:
    def test_what_is_written_can_be_read(self, folder: Folder) -> None:
        folder.write("a.bin", b"one")
        folder.child("sub").child("deep").write("b.bin", b"two")

        assert folder.read("a.bin") == b"one"
        assert folder.child("sub").child("deep").read("b.bin") == b"two"

    def test_names_are_sorted_files_and_nothing_else(self, folder: Folder) -> None:
        for name in ("b", "a", "c.tmp"):
            folder.write(name, b"")
        folder.child("sub").write("d", b"")

        assert folder.names() == ["a", "b"]
        assert folder.child("sub").names() == ["d"]

    def test_a_folder_need_not_exist(self, folder: Folder) -> None:
        assert folder.names() == []
        assert not folder.exists("a")
        folder.remove("a")
        with pytest.raises(StorageError, match=r"Cannot read .*/a: "):
            folder.read("a")

    def test_writing_replaces(self, folder: Folder) -> None:
        folder.write("a", b"long content")
        folder.write("a", b"short")

        assert folder.read("a") == b"short"
        assert files(folder) == ["a"]

    def test_removing_removes(self, folder: Folder) -> None:
        folder.write("a", b"one")
        assert folder.exists("a")

        folder.remove("a")

        assert not folder.exists("a")
        folder.remove("a")

    def test_a_file_appears_only_when_it_is_whole(self, folder: Folder) -> None:
        with folder.create("a") as stream:
            stream.write(b"one")
            stream.flush()
            assert folder.names() == []
            assert not folder.exists("a")
        assert folder.names() == ["a"]

    def test_a_failing_writer_leaves_nothing(self, folder: Folder) -> None:
        with pytest.raises(ShardError, match="not mine to translate"), folder.create("a") as stream:
            stream.write(b"half")
            raise ShardError("not mine to translate")

        assert files(folder) == []

    def test_a_failing_writer_leaves_the_earlier_file(self, folder: Folder) -> None:
        folder.write("a", b"whole")
        with pytest.raises(ZeroDivisionError), folder.create("a") as stream:
            stream.write(b"half")
            raise ZeroDivisionError

        assert folder.read("a") == b"whole"
        assert files(folder) == ["a"]

    def test_files_may_be_written_while_another_is_open(self, folder: Folder) -> None:
        with folder.create("outer") as outer:
            outer.write(b"out")
            folder.write("inner", b"in")
            outer.write(b"er")

        assert folder.read("outer") == b"outer"
        assert folder.read("inner") == b"in"

    def test_a_failing_outer_file_does_not_take_the_inner_one_along(self, folder: Folder) -> None:
        with pytest.raises(ZeroDivisionError), folder.create("outer") as outer:
            outer.write(b"out")
            folder.write("inner", b"in")
            raise ZeroDivisionError

        assert files(folder) == ["inner"]

    def test_versions_tell_contents_apart(self, folder: Folder) -> None:
        assert folder.version("a") is None
        folder.write("a", b"one")
        before = folder.version("a")
        folder.write("a", b"two")

        assert before
        assert folder.version("a") != before

    def test_downloads_appear_whole(self, folder: Folder, tmp_path: Path) -> None:
        folder.write("a", b"one")
        folder.download("a", tmp_path / "new" / "copy")

        assert (tmp_path / "new" / "copy").read_bytes() == b"one"
        assert inside(tmp_path / "new") == ["copy"]


class TestTemporaryFiles:
    @staticmethod
    def leave(folder: Path, name: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_bytes(b"half")
        return path

    def test_what_a_killed_writer_left_is_removed_by_the_next(self, tmp_path: Path) -> None:
        folder = Folder.open(str(tmp_path))
        self.leave(tmp_path, ".a.arrow.0123.tmp")
        other = self.leave(tmp_path, ".b.arrow.0123.tmp")

        folder.write("a.arrow", b"whole")

        assert inside(tmp_path) == [other.name, "a.arrow"]

    def test_what_a_living_writer_has_open_is_left_alone(self, tmp_path: Path) -> None:
        folder = Folder.open(str(tmp_path))
        with folder.create("a") as first:
            first.write(b"first")
            folder.write("a", b"second")
            assert folder.read("a") == b"second"

        assert folder.read("a") == b"first"
        assert files(folder) == ["a"]

    def test_a_file_taken_for_abandoned_before_it_was_locked_is_made_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lock, taken = fcntl.flock, []

        def unlinked_meanwhile(stream: Any, operation: int) -> None:
            lock(stream, operation)
            if not taken:
                taken.append(stream.name)
                Path(stream.name).unlink()

        monkeypatch.setattr(fcntl, "flock", unlinked_meanwhile)
        Folder.open(str(tmp_path)).write("a", b"whole")

        assert taken
        assert (tmp_path / "a").read_bytes() == b"whole"
        assert inside(tmp_path) == ["a"]

    def test_without_locks_nothing_is_taken_for_abandoned(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", refuse)
        left = self.leave(tmp_path, ".a.0123.tmp")
        Folder.open(str(tmp_path)).write("a", b"whole")

        assert inside(tmp_path) == [left.name, "a"]


class TestErrors:
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
    def test_no_room_has_a_class_and_a_remedy(self, number: int) -> None:
        with pytest.raises(StorageFullError) as caught, storage_errors("write", "/data/a"):
            raise OSError(number, os.strerror(number))

        assert str(caught.value) == (
            f"Cannot write /data/a: {os.strerror(number)}. Free some room or move [aiopt] work_dir or the "
            "sink elsewhere, then retry the task: it goes on after the last finished shard"
        )

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (OSError(errno.EACCES, "Permission denied", "/data/a"), "Permission denied"),
            (PermissionError("Access Denied"), "Access Denied"),
            (TimeoutError(), "TimeoutError"),
        ],
    )
    def test_every_other_error_says_what_was_done_to_what(self, error: OSError, reason: str) -> None:
        with pytest.raises(StorageError) as caught, storage_errors("read", "/data/a"):
            raise error

        assert str(caught.value) == f"Cannot read /data/a: {reason}"
        assert type(caught.value) is StorageError
        assert caught.value.__cause__ is error

    def test_bugs_are_not_taken_for_the_storage(self) -> None:
        with pytest.raises(ZeroDivisionError), storage_errors("read", "/data/a"):
            raise ZeroDivisionError

    def test_around_a_driver_everything_is_the_storage(self) -> None:
        with pytest.raises(StorageError, match="Cannot read s3://b/a: no credentials"):  # noqa: SIM117
            with storage_errors("read", "s3://b/a", faults=Exception):
                raise RuntimeError("no credentials")

    @pytest.mark.parametrize(
        "act",
        [
            lambda folder: folder.names(),
            lambda folder: folder.exists("a"),
            lambda folder: folder.read("a"),
            lambda folder: folder.write("a", b""),
            lambda folder: folder.remove("a"),
            lambda folder: folder.version("a"),
        ],
        ids=["names", "exists", "read", "write", "remove", "version"],
    )
    def test_each_call_translates_what_a_driver_raises(self, act: Any) -> None:
        with pytest.raises(StorageError, match=r"bucket/.*: the client library is unhappy"):
            act(Folder("broken://bucket/x", _BrokenFileSystem(), "bucket/x"))

    def test_a_file_in_the_place_of_the_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        folder = Folder.open(str(tmp_path / "file" / "sub"))

        with pytest.raises(StorageError, match=r"Cannot write .*/file/sub/a: Not a directory"):
            folder.write("a", b"")


class _BrokenFileSystem:
    protocol = "broken"

    def invalidate_cache(self, path: str) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("the client library is unhappy")

        return fail


class TestResolving:
    def test_a_connection_needs_airflow(self) -> None:
        with pytest.raises(StorageError, match="connection 'aws', which only Airflow can look up"):
            Folder.open("s3://bucket/x", connection="aws")

    def test_an_unknown_protocol_is_named(self) -> None:
        with pytest.raises(StorageError, match="No file system for gopher://x: Protocol not known: gopher"):
            Folder.open("gopher://x")

    def test_options_reach_the_file_system(self) -> None:
        seen: dict[str, Any] = {}

        def resolver(
            uri: str, *, connection: str | None, storage_options: Mapping[str, Any]
        ) -> tuple[Any, str]:
            seen.update(uri=uri, connection=connection, **storage_options)
            return fsspec.filesystem("memory"), "/x"

        Folder.open("memory://x", connection="c", storage_options={"key": "k"}, resolver=resolver)

        assert seen == {"uri": "memory://x", "connection": "c", "key": "k"}

    @pytest.mark.parametrize("uri", ["/data/x", "/data/x/", "file:///data/x", "local:///data/x"])
    def test_local_folders(self, uri: str) -> None:
        folder = Folder.open(uri)

        assert folder.is_local
        assert folder.local_path("a") == Path("/data/x/a")

    def test_remote_folders_have_no_local_path(self, remote: str) -> None:
        folder = Folder.open(f"{remote}/")

        assert not folder.is_local
        assert folder.local_path("a") is None
        assert folder.uri_of("a") == f"{remote}/a"

    def test_plain_fsspec_is_the_default(self, tmp_path: Path) -> None:
        filesystem, path = resolve_filesystem(str(tmp_path))

        assert path == str(tmp_path)
        assert filesystem is fsspec.filesystem("file")
