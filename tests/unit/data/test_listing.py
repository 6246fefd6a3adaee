from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.data.listing import Entry, list_source, open_root
from airflow_provider_aiopt.data.retry import RemoteCalls
from airflow_provider_aiopt.exceptions import SourceError
from airflow_provider_aiopt.spec import SourceSpec

TREE = (
    "b.jpg",
    "a.png",
    "A.jpg",
    "notes.txt",
    ".hidden.jpg",
    "sub/c.jpg",
    "sub/.d/e.jpg",
    ".git/f.jpg",
    "x1/y.jpg",
)


def make(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode("utf-8", "surrogateescape"))


@pytest.fixture(params=["local", "remote"])
def tree(request: pytest.FixtureRequest, tmp_path: Path, remote: str) -> str:
    """The URI of a folder with the files of ``TREE``, local and remote in turn."""
    if request.param == "local":
        make(tmp_path, TREE)
        return str(tmp_path)
    filesystem = fsspec.filesystem("memory")
    for name in TREE:
        filesystem.pipe_file(f"{remote}/{name}", name.encode())
    return remote


def names(uri: str, **settings: Any) -> list[str]:
    return [entry.name for entry in list_source(SourceSpec(uri=uri, **settings))[1]]


class TestChoosing:
    def test_visible_files_in_the_order_of_their_names(self, tree: str) -> None:
        assert names(tree) == ["A.jpg", "a.png", "b.jpg", "notes.txt"]

    def test_sub_folders_only_where_asked_for(self, tree: str) -> None:
        assert names(tree, recursive=True) == [
            "A.jpg",
            "a.png",
            "b.jpg",
            "notes.txt",
            "sub/c.jpg",
            "x1/y.jpg",
        ]

    @pytest.mark.parametrize(
        ("pattern", "chosen"),
        [
            ("*.jpg", ["A.jpg", "b.jpg", "sub/c.jpg", "x1/y.jpg"]),
            (("*.png", "notes*"), ["a.png", "notes.txt"]),
            ("sub/*", ["sub/c.jpg"]),
            ("*/*.jpg", ["sub/c.jpg", "x1/y.jpg"]),
            ("[ab].*", ["a.png", "b.jpg"]),
            (".*", None),
            ("*.JPG", None),
        ],
    )
    def test_patterns(self, tree: str, pattern: Any, chosen: list[str] | None) -> None:
        assert names(tree, recursive=True, pattern=pattern, allow_empty=True) == (chosen or [])

    def test_one_file_alone_whatever_the_pattern(self, tree: str) -> None:
        root, (entry,) = list_source(SourceSpec(uri=f"{tree}/a.png", pattern="*.jpg"))

        assert entry.name == "a.png"
        assert entry.size == len("a.png")
        assert root.uri_of(entry).endswith("/a.png")

    def test_a_listing_has_sizes_and_versions(self, tree: str) -> None:
        _, entries = list_source(SourceSpec(uri=tree))

        assert [entry.size for entry in entries] == [len(entry.name) for entry in entries]
        assert all(entry.version for entry in entries)

    def test_a_slash_at_the_end_changes_nothing(self, tree: str) -> None:
        assert names(f"{tree}/") == names(tree)

    def test_each_name_leads_back_to_its_file(self, tree: str) -> None:
        root, entries = list_source(SourceSpec(uri=tree, recursive=True))

        for entry in entries:
            assert root.filesystem.cat_file(root.path_of(entry)) == entry.name.encode()

    def test_a_root_can_be_opened_again(self, tree: str) -> None:
        spec = SourceSpec(uri=tree)
        root, _ = list_source(spec)

        assert open_root(spec, root.path) == root


class TestLocalFiles:
    def test_names_that_are_no_utf_8(self, tmp_path: Path) -> None:
        (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"x")
        root, (entry,) = list_source(SourceSpec(uri=str(tmp_path)))

        assert entry.printable_name == "caf\\xe9.jpg"
        assert root.uri_of(entry) == f"file://{tmp_path}/caf\\xe9.jpg"
        assert Path(root.path_of(entry)).read_bytes() == b"x"

    def test_links_to_files_and_folders_are_listed_to_be_judged_when_read(self, tmp_path: Path) -> None:
        make(tmp_path, ["root/real/a.jpg"])
        root = tmp_path / "root"
        (root / "to-folder").symlink_to("real")
        (root / "to-file.jpg").symlink_to("real/a.jpg")
        (root / "dangling.jpg").symlink_to("nowhere")

        assert names(str(root), recursive=True) == ["dangling.jpg", "real/a.jpg", "to-file.jpg", "to-folder"]

    def test_a_loop_of_links_ends(self, tmp_path: Path) -> None:
        make(tmp_path, ["a/b.jpg"])
        (tmp_path / "a" / "loop").symlink_to(tmp_path)

        assert names(str(tmp_path), recursive=True, pattern="*.jpg") == ["a/b.jpg"]

    def test_the_root_itself_may_be_a_link(self, tmp_path: Path) -> None:
        make(tmp_path, ["real/a.jpg"])
        (tmp_path / "link").symlink_to("real")

        assert names(str(tmp_path / "link")) == ["a.jpg"]

    def test_a_file_named_through_a_link_is_the_file(self, tmp_path: Path) -> None:
        make(tmp_path, ["versions/2026.csv"])
        (tmp_path / "latest.csv").symlink_to("versions/2026.csv")
        root, (entry,) = list_source(SourceSpec(uri=str(tmp_path / "latest.csv")))

        assert root.path == str(tmp_path / "versions")
        assert entry.name == "2026.csv"

    def test_the_root_of_the_file_system_is_not_the_working_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(tmp_path, ["mine.marker"])
        monkeypatch.chdir(tmp_path)

        assert names("/", pattern="*.marker", allow_empty=True) == []


class TestErrors:
    def test_an_empty_folder_names_the_settings_to_change(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError) as caught:
            list_source(SourceSpec(uri=str(tmp_path), pattern=("*.jpg", "*.png")))

        assert str(caught.value) == (
            f"The source {tmp_path} holds no file that matches '*.jpg', '*.png' (sub-folders not searched: "
            "source.recursive is false). Correct source.pattern, or set source.allow_empty to accept an "
            "empty run"
        )

    def test_an_empty_folder_may_be_welcome(self, tmp_path: Path) -> None:
        assert names(str(tmp_path), allow_empty=True) == []

    @pytest.mark.parametrize("allow_empty", [False, True])
    def test_a_missing_folder_is_never_an_empty_one(
        self, tmp_path: Path, remote: str, allow_empty: bool
    ) -> None:
        for uri in (f"{tmp_path}/missing", f"{remote}/missing"):
            with pytest.raises(SourceError, match=rf"Cannot list {uri}: No such file.*\. Check source\.uri"):
                list_source(SourceSpec(uri=uri, allow_empty=allow_empty))

    def test_a_sub_folder_that_cannot_be_listed_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(tmp_path, ["a.jpg", "locked/b.jpg"])
        scandir = os.scandir

        def guarded(path: str) -> Any:
            if path.endswith("locked"):
                raise PermissionError(13, "Permission denied", path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", guarded)

        with pytest.raises(SourceError, match=rf"Cannot list {tmp_path}/locked: Permission denied"):
            list_source(SourceSpec(uri=str(tmp_path), recursive=True))

    def test_a_pipe_is_no_source(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")

        with pytest.raises(SourceError, match="Not a directory"):
            list_source(SourceSpec(uri=str(tmp_path / "pipe")))

    def test_an_unknown_protocol(self) -> None:
        with pytest.raises(SourceError, match="No file system for gopher://x"):
            list_source(SourceSpec(uri="gopher://x"))

    def test_whatever_a_driver_raises_is_a_source_error(self) -> None:
        class Failing:
            protocol = "failing"

            def invalidate_cache(self) -> None:
                raise RuntimeError("no credentials")

        spec = SourceSpec(uri="failing://x")
        waits: list[float] = []
        with pytest.raises(
            SourceError,
            match=r"Cannot list failing://x: no credentials, at the last of 4 attempts\. Check source\.uri",
        ):
            list_source(
                spec,
                resolver=lambda *_, **__: (Failing(), "x"),
                calls=RemoteCalls(spec, sleep=waits.append),
            )
        assert len(waits) == 3

    def test_a_source_that_is_not_there_is_asked_for_once(self, remote: str) -> None:
        with pytest.raises(SourceError, match=r"No such file, folder or bucket\. Check source\.uri"):
            list_source(SourceSpec(uri=f"{remote}/nowhere"))


@given(st.binary(min_size=1, max_size=8).filter(lambda name: b"/" not in name and b"\0" not in name))
def test_every_name_can_be_printed_and_stored(name: bytes) -> None:
    printed = Entry(os.fsdecode(name), 0, "").printable_name

    assert printed.encode("utf-8")
    if name.isascii():
        assert printed == name.decode()
