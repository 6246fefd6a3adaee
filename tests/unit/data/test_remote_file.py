from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_aiopt.data.listing import Entry, Root
from airflow_provider_aiopt.data.remote_file import RemoteFile
from airflow_provider_aiopt.data.retry import RemoteCalls
from airflow_provider_aiopt.exceptions import SourceError
from airflow_provider_aiopt.spec import SourceSpec

CONTENT = bytes(range(256)) * 8


class FaultyStore:
    """A file system with one file; each of its reads first takes an error off the list."""

    def __init__(self) -> None:
        self.errors: list[Exception | None] = []
        self.opened = 0
        self.etag: Callable[[], str] = lambda: "same"

    def open(self, path: str, mode: str, **_: Any) -> Any:
        store = self
        self.opened += 1

        class Stream(io.BytesIO):
            details = {"ETag": store.etag()}  # noqa: RUF012 - as fsspec's own files have it

            def read(self, size: int | None = -1) -> bytes:
                if store.errors and (error := store.errors.pop(0)):
                    raise error
                return super().read(size)

        return Stream(CONTENT)


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
def file(store: FaultyStore) -> RemoteFile:
    calls = RemoteCalls(SourceSpec(uri="x://y"), sleep=lambda _: None)
    return RemoteFile(Root(store, "y", "x://y", is_local=False, calls=calls), Entry("a", 0, ""))


def test_it_reads_like_any_stream(file: RemoteFile) -> None:
    with file:
        assert (file.readable(), file.seekable()) == (True, True)
        assert file.read(3) == CONTENT[:3]
        assert file.tell() == 3
        assert file.seek(2, io.SEEK_CUR) == 5
        assert file.read(2) == CONTENT[5:7]
        assert file.seek(-4, io.SEEK_END) == len(CONTENT) - 4
        assert file.read(100) == CONTENT[-4:]
        assert file.read(1) == b""
    assert file.closed


def test_a_failed_read_is_made_again_at_the_same_place(store: FaultyStore, file: RemoteFile) -> None:
    store.errors = [None, ConnectionResetError("reset"), OSError("busy"), None, TimeoutError("slow")]

    assert b"".join(iter(lambda: file.read(500), b"")) == CONTENT
    assert store.opened == 4, "what failed is not used again"


def test_the_last_error_is_raised(store: FaultyStore, file: RemoteFile) -> None:
    store.errors = [OSError(f"busy {number}") for number in range(9)]

    with pytest.raises(OSError, match="busy 3"):
        file.read(1)


def test_a_file_that_changes_between_two_openings_is_not_mixed(store: FaultyStore, file: RemoteFile) -> None:
    versions = iter("ab")
    store.etag = lambda: next(versions)
    store.errors = [None, OSError("busy")]
    file.read(10)

    with pytest.raises(SourceError, match=r"x://y/a was changed while it was read\. Clear the task"):
        file.read(10)


def test_closing_what_was_never_read_opens_nothing(store: FaultyStore, file: RemoteFile) -> None:
    file.close()

    assert store.opened == 0
