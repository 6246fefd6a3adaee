from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest

from airflow_provider_aiopt.data.exclusive import check_exclusive, create_exclusively
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.exceptions import ExclusiveCreateError, StorageError


class ConflictError(OSError):
    """What botocore raises while another conditional request is under way."""

    response: ClassVar[dict[str, Any]] = {"ResponseMetadata": {"HTTPStatusCode": 409}}


class ServerError(OSError):
    """A server's own failure."""

    response: ClassVar[dict[str, Any]] = {"ResponseMetadata": {"HTTPStatusCode": 500}}


class Store(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """An object store in memory that answers conditional writes as S3 does, after given failures."""

    protocol = "s3"

    def __init__(self, failures: tuple[Exception, ...] = (), *, ignores: bool = False) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}
        self.failures = list(failures)
        self.ignores = ignores

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        if self.failures:
            raise self.failures.pop(0)
        if mode == "create" and path in self.files and not self.ignores:
            raise FileExistsError(path)
        self.files[path] = value

    def exists(self, path: str, **_: Any) -> bool:
        return path in self.files

    def rm_file(self, path: str) -> None:
        self.files.pop(path, None)

    def put_file(self, source: str, path: str, **_: Any) -> None:
        self.files[path] = Path(source).read_bytes()


class OldStore(Store):
    def pipe_file(self, path: str, value: bytes) -> None:  # type: ignore[override]
        raise AssertionError("it would overwrite")


class AzureStore(Store):
    protocol = "abfs"

    def pipe_file(self, path: str, value: bytes, overwrite: bool = True) -> None:  # type: ignore[override]
        super().pipe_file(path, value, "overwrite" if overwrite else "create")


@pytest.fixture(autouse=True)
def _no_instance_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "cachable", False)


def of(store: Store) -> Folder:
    return Folder("s3://bucket/state", store, "bucket/state")


def test_the_first_succeeds_and_its_content_stays(folder: Folder) -> None:
    assert create_exclusively(folder, "a", b"first")
    assert not create_exclusively(folder, "a", b"second")
    assert folder.read("a") == b"first"
    assert folder.names() == ["a"]


def test_of_many_one_succeeds(folder: Folder) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: create_exclusively(folder, "a", str(n).encode()), range(40)))
    assert made.count(True) == 1
    assert folder.read("a") == str(made.index(True)).encode()


def test_nobody_sees_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder.open(str(tmp_path))
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StorageError, match="No space left"):
        create_exclusively(folder, "a", b"content")
    assert list(tmp_path.iterdir()) == []


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(ExclusiveCreateError, match="has no hard links"):
        create_exclusively(Folder.open(str(tmp_path)), "a", b"")


@pytest.mark.parametrize("store", [Store(), AzureStore()], ids=["s3", "abfs"])
def test_stores_are_asked_with_a_condition(store: Store) -> None:
    assert create_exclusively(of(store), "a", b"first")
    assert not create_exclusively(of(store), "a", b"second")
    assert store.files == {"bucket/state/a": b"first"}


def test_a_conflict_is_tried_again_and_a_failure_is_not_taken_for_an_answer() -> None:
    assert create_exclusively(of(Store((ConflictError(), ConflictError()))), "a", b"")
    with pytest.raises(StorageError):
        create_exclusively(of(Store((ServerError(),))), "a", b"")


def test_what_cannot_be_exclusive_is_refused() -> None:
    with pytest.raises(ExclusiveCreateError, match="too old"):
        create_exclusively(of(OldStore()), "a", b"")
    other = Store()
    other.protocol = "sftp"  # type: ignore[misc]
    with pytest.raises(ExclusiveCreateError, match=r"'sftp'.*Put \[aiopt\] uploads_dir on"):
        create_exclusively(of(other), "a", b"")


def test_a_store_that_ignores_the_condition_is_found_out(folder: Folder) -> None:
    store = Store(ignores=True)
    with pytest.raises(ExclusiveCreateError, match="ignores the condition"):
        check_exclusive(of(store))
    assert store.files == {}
    for _ in range(2):
        check_exclusive(folder)
    assert folder.names() == ["exclusive"]
