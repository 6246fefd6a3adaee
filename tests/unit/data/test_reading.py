from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest

from airflow_provider_aiopt.data import reading
from airflow_provider_aiopt.data.listing import Entry, Root, list_source
from airflow_provider_aiopt.data.reading import read_entry
from airflow_provider_aiopt.data.retry import RemoteCalls
from airflow_provider_aiopt.exceptions import (
    EmptyRecordError,
    PathEscapeError,
    RecordError,
    RecordReadError,
    RecordTooLargeError,
    SourceError,
)
from airflow_provider_aiopt.spec import SourceSpec


def listed(uri: Path | str, **settings: Any) -> tuple[Root, Entry]:
    """The root and the only file of a source."""
    spec = SourceSpec(uri=str(uri), **settings)
    root, (entry,) = list_source(spec, calls=RemoteCalls(spec, sleep=lambda _: None))
    return root, entry


def read(root: Root, name: str = "a", *, max_bytes: int = 100) -> bytes:
    return read_entry(root, Entry(name, 0, ""), max_bytes=max_bytes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def root(folder: Path) -> Root:
    return list_source(SourceSpec(uri=str(folder), allow_empty=True))[0]


class TestLocal:
    @pytest.mark.parametrize("size", [1, 99, 100])
    def test_the_whole_file_up_to_the_limit(self, folder: Path, root: Root, size: int) -> None:
        (folder / "a").write_bytes(b"x" * size)

        assert read(root) == b"x" * size

    def test_one_byte_more_is_too_many(self, folder: Path, root: Root) -> None:
        (folder / "a").write_bytes(b"x" * 101)

        with pytest.raises(RecordTooLargeError, match=r"has 101 bytes; source.max_record_bytes allows 100"):
            read(root)

    def test_an_empty_file(self, folder: Path, root: Root) -> None:
        (folder / "a").write_bytes(b"")

        with pytest.raises(EmptyRecordError, match="holds no bytes"):
            read(root)

    def test_a_file_that_is_gone(self, root: Root) -> None:
        with pytest.raises(RecordReadError, match="deleted after the listing, or its link is dangling"):
            read(root)

    def test_a_folder(self, folder: Path, root: Root) -> None:
        (folder / "a").mkdir()

        with pytest.raises(RecordReadError, match="not a regular file but a folder, pipe, socket or device"):
            read(root)

    def test_a_pipe_without_a_writer_does_not_block(self, folder: Path, root: Root) -> None:
        os.mkfifo(folder / "a")

        with pytest.raises(RecordReadError, match="not a regular file"):
            read(root)

    def test_a_socket(self, folder: Path, root: Root) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(folder / "a"))
            with pytest.raises(RecordReadError, match="cannot be read: No such device"):
                read(root)

    def test_a_loop_of_links(self, folder: Path, root: Root) -> None:
        (folder / "a").symlink_to("b")
        (folder / "b").symlink_to("a")

        with pytest.raises(RecordReadError, match="cannot be read: Too many levels of symbolic links"):
            read(root)

    def test_a_file_that_grows_while_it_is_read(
        self, folder: Path, root: Root, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "a").write_bytes(b"x" * 10)
        check = reading._check_local

        def grow(*args: Any) -> int:
            size = check(*args)
            with (folder / "a").open("ab") as stream:
                stream.write(b"y" * 10_000)
            return size

        monkeypatch.setattr(reading, "_check_local", grow)

        with pytest.raises(RecordTooLargeError, match="has over 100 bytes"):
            read(root)

    def test_descriptors_are_closed(self, folder: Path, root: Root) -> None:
        (folder / "empty").write_bytes(b"")
        (folder / "large").write_bytes(b"x" * 101)
        (folder / "folder").mkdir()
        (folder / "out").symlink_to("/etc/passwd")
        before = len(list(Path("/proc/self/fd").iterdir()))
        for name in ("empty", "large", "folder", "out", "missing"):
            with pytest.raises(RecordError):
                read(root, name)

        assert len(list(Path("/proc/self/fd").iterdir())) == before


class TestLinks:
    @pytest.fixture(autouse=True)
    def outside(self, folder: Path) -> Path:
        outside = folder.parent / "outside"
        outside.mkdir()
        (outside / "secret").write_bytes(b"secret")
        return outside

    def test_a_link_within_the_root_is_followed(self, folder: Path, root: Root) -> None:
        (folder / "real").write_bytes(b"x")
        (folder / "a").symlink_to("real")

        assert read(root) == b"x"

    @pytest.mark.parametrize(
        "target", ["../outside/secret", "{parent}/outside/secret", "/dev/null", "/proc/self/mem"]
    )
    def test_a_link_to_elsewhere_is_an_escape(self, folder: Path, root: Root, target: str) -> None:
        (folder / "a").symlink_to(target.format(parent=folder.parent))

        with pytest.raises(
            PathEscapeError, match=rf"leads out of the source's root {folder} to /.*Copy the file"
        ):
            read(root)

    def test_a_folder_linked_from_elsewhere_is_an_escape(
        self, folder: Path, root: Root, outside: Path
    ) -> None:
        (folder / "sub").symlink_to(outside)

        with pytest.raises(PathEscapeError):
            read(root, "sub/secret")

    @pytest.mark.parametrize("name", ["../outside/secret", "sub/../../outside/secret"])
    def test_dots_are_an_escape(self, folder: Path, root: Root, name: str) -> None:
        (folder / "sub").mkdir()

        with pytest.raises(PathEscapeError):
            read(root, name)

    def test_a_neighbour_whose_name_begins_alike_is_elsewhere(self, folder: Path, root: Root) -> None:
        (folder.parent / "root-2").mkdir()
        (folder.parent / "root-2" / "a").write_bytes(b"x")
        (folder / "a").symlink_to("../root-2/a")

        with pytest.raises(PathEscapeError):
            read(root)

    def test_what_was_opened_is_judged_not_what_lies_there_now(
        self, folder: Path, root: Root, outside: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "a").symlink_to(outside / "secret")
        check = reading._check_local

        def swap_and_check(*args: Any) -> int:
            (folder / "a").unlink()
            (folder / "a").write_bytes(b"harmless")
            return check(*args)

        monkeypatch.setattr(reading, "_check_local", swap_and_check)

        with pytest.raises(PathEscapeError):
            read(root)

    def test_a_link_swapped_in_after_the_check_is_not_read(
        self, folder: Path, root: Root, outside: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "a").write_bytes(b"harmless")
        check = reading._check_local

        def check_and_swap(*args: Any) -> int:
            size = check(*args)
            (folder / "a").unlink()
            (folder / "a").symlink_to(outside / "secret")
            return size

        monkeypatch.setattr(reading, "_check_local", check_and_swap)

        assert read(root) == b"harmless"

    def test_the_root_itself_may_be_reached_by_a_link(self, folder: Path) -> None:
        (folder / "a").write_bytes(b"x")
        (folder.parent / "link").symlink_to("root")
        root, entry = listed(folder.parent / "link")

        assert read_entry(root, entry, max_bytes=10) == b"x"

    def test_what_takes_the_place_of_the_root_is_elsewhere(
        self, folder: Path, root: Root, outside: Path
    ) -> None:
        (outside / "a").write_bytes(b"secret")
        folder.rename(folder.parent / "moved")
        folder.symlink_to(outside)

        with pytest.raises(PathEscapeError, match=rf"leads out of the source's root {folder} to {outside}/a"):
            read(root)

    def test_the_link_that_leads_to_the_root_may_not_be_swapped(self, folder: Path, outside: Path) -> None:
        link = folder.parent / "link"
        link.symlink_to(folder)
        root = list_source(SourceSpec(uri=str(link), allow_empty=True))[0]
        (outside / "a").write_bytes(b"secret")
        link.unlink()
        link.symlink_to(outside)

        with pytest.raises(PathEscapeError):
            read(root)

    def test_where_proc_does_not_tell_the_path_is_followed(
        self, folder: Path, root: Root, outside: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        readlink = os.readlink

        def without_proc(path: str) -> str:
            if path.startswith("/proc/"):
                raise FileNotFoundError
            return readlink(path)

        (folder / "a").write_bytes(b"x")
        (folder / "out").symlink_to(outside / "secret")
        monkeypatch.setattr(os, "readlink", without_proc)

        assert read(root) == b"x"
        with pytest.raises(PathEscapeError):
            read(root, "out")

    def test_every_file_lies_below_the_root_of_the_file_system(self, folder: Path) -> None:
        (folder / "a").write_bytes(b"x")
        whole = list_source(SourceSpec(uri="/", pattern="no such file", allow_empty=True))[0]

        assert read(whole, str(folder / "a").lstrip("/")) == b"x"

    def test_a_file_that_the_spec_names_through_a_link_is_read(self, folder: Path, outside: Path) -> None:
        (folder / "a").symlink_to(outside / "secret")
        root, entry = listed(folder / "a")

        assert read_entry(root, entry, max_bytes=10) == b"secret"


class TestRemote:
    @pytest.fixture
    def source(self, remote: str) -> tuple[Root, Entry]:
        fsspec.filesystem("memory").pipe_file(f"{remote}/a", b"x" * 10)
        return listed(remote)

    def test_the_whole_file(self, source: tuple[Root, Entry]) -> None:
        assert read_entry(*source, max_bytes=10) == b"x" * 10

    def test_limits(self, source: tuple[Root, Entry]) -> None:
        root, entry = source
        with pytest.raises(RecordTooLargeError, match=r"has 10 bytes; source.max_record_bytes allows 9"):
            read_entry(root, entry, max_bytes=9)
        with pytest.raises(RecordTooLargeError, match="has over 9 bytes"):  # the store did not tell its size
            read_entry(root, Entry("a", 0, ""), max_bytes=9)

    def test_an_object_that_is_gone(self, source: tuple[Root, Entry]) -> None:
        root, _ = source
        with pytest.raises(RecordReadError, match="deleted after the listing"):
            read(root, "b")

    @pytest.mark.parametrize(
        ("raised", "expected", "said"),
        [
            (PermissionError("Access Denied"), RecordReadError, "The file cannot be read: Access Denied"),
            (
                TimeoutError("timed out"),
                SourceError,
                "memory://.*/a: timed out, at the last of 4 attempts. The storage is at fault, not the",
            ),
            (
                RuntimeError("no credentials"),
                SourceError,
                "memory://.*/a: no credentials, at the last of 4 attempts. The storage is at fault",
            ),
        ],
    )
    def test_an_outage_is_no_fault_of_the_record(
        self,
        source: tuple[Root, Entry],
        monkeypatch: pytest.MonkeyPatch,
        raised: Exception,
        expected: type[Exception],
        said: str,
    ) -> None:
        def fail(*_: object) -> bytes:
            raise raised

        monkeypatch.setattr(source[0].filesystem, "cat_file", fail)

        with pytest.raises(expected, match=said):
            read_entry(*source, max_bytes=10)

    def test_a_read_that_succeeds_at_last_is_counted(
        self, source: tuple[Root, Entry], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root, entry = source
        answers: list[Any] = [TimeoutError("slow"), OSError("throttled"), b"content"]

        def answer(*_: object) -> bytes:
            found = answers.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(root.filesystem, "cat_file", answer)

        assert read_entry(root, entry, max_bytes=10) == b"content"
        assert root.calls.retries == 2

    def test_refused_credentials_are_no_fault_of_the_record(
        self, source: tuple[Root, Entry], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> bytes:
            raise PermissionError("The token has expired") from ExpiredTokenError

        monkeypatch.setattr(source[0].filesystem, "cat_file", fail)

        with pytest.raises(SourceError, match=r"The token has expired\. The storage is at fault"):
            read_entry(*source, max_bytes=10)
        assert source[0].calls.retries == 0


class ExpiredTokenError(Exception):
    response: ClassVar = {"Error": {"Code": "ExpiredToken"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
