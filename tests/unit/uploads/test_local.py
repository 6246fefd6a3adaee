from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_aiopt.spec.uploads import load_watch_spec
from airflow_provider_aiopt.uploads.ignoring import is_ignored
from airflow_provider_aiopt.uploads.leases import is_closed
from airflow_provider_aiopt.uploads.local import LocalLocation
from airflow_provider_aiopt.uploads.watching import open_location

TREE = (
    "a.jpg",
    "b.txt",
    ".c.jpg",
    "d.jpg.part",
    "sub/e.jpg",
    "sub/.f/g.jpg",
    "_temporary/h.jpg",
    "sub/deep/i.jpg",
)


def location(folder: Path, **settings: Any) -> LocalLocation:
    found = open_location(load_watch_spec({"uri": str(folder), "state": "/state", **settings}))
    assert isinstance(found, LocalLocation)
    return found


def names(found: LocalLocation, folder: Path) -> list[str]:
    uris = [sighting.uri for page in found.pages() for sighting in page]
    return sorted(uri.removeprefix(f"file://{folder}/") for uri in uris)


@pytest.fixture
def tree(inbox: Path) -> Path:
    for name in TREE:
        (inbox / name).parent.mkdir(parents=True, exist_ok=True)
        (inbox / name).write_bytes(b"content")
    return inbox


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["a.jpg", "b.txt"]),
        ({"pattern": "*.jpg"}, ["a.jpg"]),
        ({"recursive": True}, ["a.jpg", "b.txt", "sub/deep/i.jpg", "sub/e.jpg"]),
        ({"recursive": True, "pattern": "sub/*.jpg"}, ["sub/deep/i.jpg", "sub/e.jpg"]),
    ],
)
def test_what_is_taken(tree: Path, settings: dict[str, Any], expected: list[str]) -> None:
    assert names(location(tree, **settings), tree) == expected


def test_names_of_every_kind(inbox: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = ["x" * 251 + ".jpg", "new\nline.jpg", "😀 #?%20.jpg", "'\"\\.jpg"]
    for name in good:
        (inbox / name).write_bytes(b"content")
    Path(os.fsdecode(os.fsencode(inbox) + b"/\xff.jpg")).write_bytes(b"content")
    found = location(inbox)
    for _ in range(2):
        assert names(found, inbox) == sorted(good)
    assert [record.getMessage().count("not UTF-8") for record in caplog.records] == [1]


def test_only_regular_files_are_taken(inbox: Path, tmp_path: Path) -> None:
    os.mkfifo(inbox / "pipe")
    (inbox / "dangling").symlink_to(tmp_path / "none")
    (tmp_path / "real").write_bytes(b"content")
    (inbox / "link").symlink_to(tmp_path / "real")
    assert names(location(inbox), inbox) == ["link"]


def test_events_tell_of_files_and_of_folders(tree: Path) -> None:
    found = location(tree, recursive=True)
    files, folders = found.changed(
        [
            f"{tree}/{name}"
            for name in ("a.jpg", "sub", "sub/.f", "d.jpg.part", "gone.jpg", "x\N{REPLACEMENT CHARACTER}")
        ]
        + ["/elsewhere/a.jpg", str(tree)]
    )
    assert [sighting.uri for sighting in files] == [f"file://{tree}/a.jpg"]
    assert folders == {"sub", ""}


def test_sub_folders_are_found_and_forgotten(tree: Path) -> None:
    found = location(tree, recursive=True)
    found.find_folders()
    assert found.folders == {"", "sub", "sub/deep"}
    (tree / "sub/deep/i.jpg").unlink()
    (tree / "sub/deep").rmdir()
    assert sorted(found.folder_paths(set(found.folders))) == [f"{tree}/", f"{tree}/sub"]
    assert found.folders == {"", "sub"}


def test_a_folder_that_is_replaced_is_another(inbox: Path) -> None:
    found = location(inbox)
    before = found.identity()
    inbox.rename(inbox.with_name("old"))
    assert found.identity() is None
    inbox.mkdir()
    assert found.identity() not in (None, before)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", False),
        ("a.TMP", True),
        ("a~", True),
        ("~$report.docx", True),
        ("a.crdownload", True),
        ("part.jpg", False),
        ("sub/_temporary/0/a.jpg", True),
        ("_SUCCESS", True),
        (".nfs0001", True),
    ],
)
def test_temporary_names(name: str, expected: bool) -> None:
    assert is_ignored(name) is expected


@pytest.mark.skipif(not hasattr(fcntl, "F_SETLEASE"), reason="leases are Linux's")
def test_who_has_it_open(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"content")
    closed = is_closed(str(path))
    assert closed in (True, None), "None where the file system has no leases"
    with path.open("ab"):
        assert is_closed(str(path)) is (False if closed else None)
    with path.open("rb"):
        assert is_closed(str(path)) is closed
    assert is_closed(str(path)) is closed
    assert is_closed(str(tmp_path / "none")) is None


def test_no_lease_is_kept_and_the_signal_is_harmless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []

    def record(_: int, command: int, argument: int) -> int:
        calls.append((command, argument))
        if (command, argument) == (fcntl.F_SETLEASE, refused):
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return 0

    (tmp_path / "a").write_bytes(b"content")
    monkeypatch.setattr(fcntl, "fcntl", record)
    refused = -1
    assert is_closed(str(tmp_path / "a")) is True
    assert calls == [
        (fcntl.F_SETSIG, 23),
        (fcntl.F_SETLEASE, fcntl.F_RDLCK),
        (fcntl.F_SETLEASE, fcntl.F_UNLCK),
    ]
    refused = fcntl.F_RDLCK
    assert is_closed(str(tmp_path / "a")) is False
