from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pytest

from airflow_provider_aiopt.data.folder import Folder, resolve_filesystem
from airflow_provider_aiopt.data.listing import list_source
from airflow_provider_aiopt.data.records import BadRecord
from airflow_provider_aiopt.data.source import Source
from airflow_provider_aiopt.data.uploads import Upload, to_jsonl
from airflow_provider_aiopt.data.versions import local_version, remote_version
from airflow_provider_aiopt.exceptions import SourceError, UploadRecordError
from airflow_provider_aiopt.runner.index import open_source
from airflow_provider_aiopt.spec import SourceSpec


class Inbox:
    """A folder, local or remote, and a manifest of what was uploaded to it."""

    def __init__(self, uri: str, manifest: Path) -> None:
        self.uri = uri
        self.manifest = manifest
        self._fs, self._path = fsspec.core.url_to_fs(uri)
        self._fs.makedirs(self._path, exist_ok=True)
        self._uploads: list[Upload] = []

    def write(self, name: str, content: bytes) -> None:
        path = f"{self._path}/{name}"
        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._fs.pipe_file(path, content)

    def upload(self, name: str, content: bytes = b"content") -> None:
        self.write(name, content)
        path = f"{self._path}/{name}"
        info = self._fs.info(path)
        version = local_version(Path(path).stat()) if self.uri.startswith("/") else remote_version(info)
        self._uploads.append(Upload(self._fs.unstrip_protocol(path), info["size"], version, 0.0))

    def delete(self, name: str) -> None:
        self._fs.rm_file(f"{self._path}/{name}")

    def spec(self, **settings: Any) -> SourceSpec:
        self.manifest.write_bytes(to_jsonl(self._uploads))
        return SourceSpec(uri=self.uri, manifest=str(self.manifest), attempts=1, **settings)


@pytest.fixture(params=["local", "remote"])
def inbox(request: pytest.FixtureRequest, tmp_path: Path, remote: str) -> Inbox:
    return Inbox(str(tmp_path / "inbox") if request.param == "local" else remote, tmp_path / "uploads.jsonl")


def outcomes(spec: SourceSpec) -> dict[str, Any]:
    source = Source(spec, *list_source(spec))
    with ThreadPoolExecutor(1) as pool:
        records = list(source.read(0, source.count(), pool, ahead=1))
    return {
        record.id: record.error_class if isinstance(record, BadRecord) else record.payload
        for record in records
    }


def test_what_the_manifest_lists_is_read_and_nothing_else(inbox: Inbox) -> None:
    inbox.write("old.jpg", b"old")
    for name in ("b.jpg", "a.jpg", "sub/c.txt"):
        inbox.upload(name, name.encode())
    read = outcomes(inbox.spec(pattern="*.jpg"))
    assert read == {"a.jpg": b"a.jpg", "b.jpg": b"b.jpg", "sub/c.txt": b"sub/c.txt"}


def test_what_is_not_of_its_version_is_quarantined(inbox: Inbox) -> None:
    for name in ("kept", "replaced", "deleted"):
        inbox.upload(name)
    inbox.write("replaced", b"something else")
    inbox.delete("deleted")
    assert outcomes(inbox.spec()) == {
        "kept": b"content",
        "replaced": "UploadChangedError",
        "deleted": "RecordReadError",
    }


def test_rows_of_a_replaced_file_are_one_bad_record(inbox: Inbox) -> None:
    inbox.upload("kept.csv", b"text\none\ntwo\n")
    inbox.upload("replaced.csv", b"text\none\ntwo\n")
    inbox.write("replaced.csv", b"text\nthree\n")
    assert outcomes(inbox.spec(format="csv", columns=("text",))) == {
        "kept.csv#0": b"one",
        "kept.csv#1": b"two",
        "replaced.csv#0": "UploadChangedError",
    }


def test_a_file_that_is_written_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = Inbox(str(tmp_path / "inbox"), tmp_path / "uploads.jsonl")
    inbox.upload("a")
    spec = inbox.spec()
    root, (entry,) = list_source(spec)
    from airflow_provider_aiopt.data import reading

    check = reading._check_local

    def check_and_write(*arguments: Any) -> int:
        monkeypatch.setattr(reading, "_check_local_version", once)
        return check(*arguments)

    original = reading._check_local_version

    def once(*arguments: Any) -> None:
        original(*arguments)
        with (tmp_path / "inbox/a").open("ab") as stream:
            stream.write(b"more")

    monkeypatch.setattr(reading, "_check_local", check_and_write)
    with pytest.raises(reading.UploadChangedError):
        reading.read_entry(root, entry, max_bytes=100)


def test_the_fingerprint_is_the_manifests_content(inbox: Inbox) -> None:
    inbox.upload("a")

    def fingerprint(spec: SourceSpec) -> str:
        source = Source(spec, *list_source(spec))
        return source.fingerprint(0, source.count())

    first = fingerprint(inbox.spec())
    moved = inbox.spec().model_copy(
        update={"manifest": str(inbox.manifest.rename(inbox.manifest.with_name("b")))}
    )
    assert fingerprint(moved) == first, "where it lies does not count"
    inbox.upload("a", b"newer")
    assert fingerprint(inbox.spec()) != first
    assert fingerprint(SourceSpec(uri=inbox.uri)) != first


def test_a_retry_reads_the_manifest_again(inbox: Inbox, tmp_path: Path) -> None:
    folder = Folder.open(str(tmp_path / "ingest"))
    inbox.upload("a")
    assert open_source(folder, inbox.spec(), resolver=resolve_filesystem).count() == 1
    inbox.upload("b")
    assert open_source(folder, inbox.spec(), resolver=resolve_filesystem).count() == 2
    assert folder.names() == []


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", SourceError, "lists no upload. Set source.allow_empty"),
        (b"{}\n", UploadRecordError, "line 1, is no upload"),
        (b'{"uri": "/etc/passwd", "size": 1, "version": "1"}', SourceError, "which is not below source.uri"),
    ],
)
def test_a_manifest_that_is_none(inbox: Inbox, content: bytes, error: type[Exception], message: str) -> None:
    spec = inbox.spec()
    inbox.manifest.write_bytes(content)
    with pytest.raises(error, match=message):
        list_source(spec)


def test_no_upload_leads_out_of_the_root(inbox: Inbox) -> None:
    inbox.upload("a")
    spec = inbox.spec()
    inbox.manifest.write_bytes(inbox.manifest.read_bytes().replace(b"/a", b"/../a"))
    with pytest.raises(SourceError, match=r"not below source\.uri"):
        list_source(spec)


def test_a_missing_manifest(inbox: Inbox) -> None:
    spec = inbox.spec()
    inbox.manifest.unlink()
    with pytest.raises(SourceError, match=r"manifest of uploads cannot be read.*Check source\.manifest"):
        list_source(spec)


def test_an_empty_manifest_is_an_empty_run_on_demand(inbox: Inbox) -> None:
    assert outcomes(inbox.spec(allow_empty=True)) == {}
