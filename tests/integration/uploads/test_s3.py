"""Watching and claiming on a real S3 server, also behind a proxy that refuses and stalls."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from components import requires
from upload_watching import make_upload

from airflow_provider_aiopt.data.exclusive import check_exclusive, create_exclusively
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.data.listing import list_source
from airflow_provider_aiopt.data.reading import read_entry
from airflow_provider_aiopt.exceptions import ExclusiveCreateError, RecordReadError, UploadChangedError
from airflow_provider_aiopt.spec import SourceSpec
from airflow_provider_aiopt.uploads import ClaimStore, Upload, load_watch_spec, to_jsonl, watch
from airflow_provider_aiopt.uploads.pruning import prune

requires("moto", "make install")
requires("s3fs", "pip install 'airflow-provider-aiopt[s3]'")

sys.path[:0] = [str(Path(__file__).parents[1] / "data")]
from faulty_proxy import FaultyProxy, running  # noqa: E402  # found through the line above

pytestmark = pytest.mark.integration


def options(url: str) -> dict[str, Any]:
    return {
        "key": "a",
        "secret": "b",
        "client_kwargs": {"endpoint_url": url, "region_name": "us-east-1"},
        "config_kwargs": {"retries": {"total_max_attempts": 1}},
        "skip_instance_cache": True,
    }


@pytest.fixture
def bucket(s3_client: Any) -> str:
    """The name of an empty bucket."""
    name = f"b{uuid.uuid4().hex}"
    s3_client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def proxy(s3_server: str) -> Iterator[FaultyProxy]:
    with running(s3_server) as started:
        yield started


def store(s3_server: str, bucket: str) -> ClaimStore:
    return ClaimStore.open(f"s3://{bucket}/state", "0" * 16, storage_options=options(s3_server))


def test_of_many_who_claim_at_once_one_succeeds(s3_server: str, bucket: str) -> None:
    uploads = [make_upload(f"{number}.jpg") for number in range(5)]
    stores = [store(s3_server, bucket) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        claimed = list(pool.map(lambda n: stores[n].claim(uploads, "dag", f"run {n}"), range(6)))
    ours = [upload for outcome in claimed for upload in outcome.ours]
    assert sorted(upload.uri for upload in ours) == sorted(upload.uri for upload in uploads)
    for number, outcome in enumerate(claimed):
        assert stores[0].claim(uploads, "dag", f"run {number}").ours == outcome.ours, "again"


def test_pruned_claims_are_not_made_again(s3_server: str, bucket: str) -> None:
    claims = store(s3_server, bucket)
    uploads = [make_upload(f"{number}.jpg") for number in range(3)]
    claims.claim(uploads, "dag", "run")
    assert prune(claims, before=float("inf")) == 3
    assert list(claims.all("dag")) == []
    assert claims.claim(uploads, "dag", "another run").ours == []
    assert claims.claimed([upload.key for upload in uploads]) == {upload.key for upload in uploads}
    assert len(claims.claim(uploads, "another dag", "run").ours) == 3


def test_a_server_that_ignores_the_condition_is_found_out(
    s3_server: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder.open(f"s3://{bucket}/state", storage_options=options(s3_server))
    driver = type(folder.filesystem)
    original = driver._call_s3

    async def without_condition(self: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("IfNoneMatch", None)
        return await original(self, method, *args, **kwargs)

    monkeypatch.setattr(driver, "_call_s3", without_condition)
    with pytest.raises(ExclusiveCreateError, match="ignores the condition"):
        check_exclusive(folder)
    monkeypatch.undo()
    check_exclusive(folder)
    assert not create_exclusively(folder, "exclusive", b"")


async def take(spec: Any, count: int, act: Callable[[], None]) -> list[Upload]:
    """Watch, act as soon as the watch is ready, and return the first uploads."""
    found: list[Upload] = []
    loop = asyncio.get_running_loop()
    batches = watch(spec, on_ready=lambda: loop.run_in_executor(None, act))
    try:
        async with asyncio.timeout(60):
            async for batch in batches:
                found.extend(batch)
                if len(found) >= count:
                    return found
    finally:
        await batches.aclose()
    raise AssertionError("the watch ended by itself")


def watched(url: str, bucket: str, *, state_url: str | None = None, **settings: Any) -> Any:
    return load_watch_spec(
        {
            "uri": f"s3://{bucket}/inbox",
            "state": f"s3://{bucket}/state",
            "storage_options": options(url),
            "state_storage_options": options(state_url or url),
            "recursive": True,
            "poll_interval_s": 0.3,
            **settings,
        }
    )


def test_new_objects_are_offered_with_their_etag(s3_server: str, s3_client: Any, bucket: str) -> None:
    s3_client.put_object(Bucket=bucket, Key="inbox/old.jpg", Body=b"old")

    def act() -> None:
        for key in ("inbox/a b+é😀.jpg", "inbox/sub/0.jpg", "inbox/.hidden", "inbox/x.tmp", "elsewhere.jpg"):
            s3_client.put_object(Bucket=bucket, Key=key, Body=b"new")
        s3_client.put_object(Bucket=bucket, Key="inbox/old.jpg", Body=b"newer")

    found = asyncio.run(take(watched(s3_server, bucket), 3, act))
    etag = s3_client.head_object(Bucket=bucket, Key="inbox/old.jpg")["ETag"].strip('"')
    assert {upload.uri.partition("inbox/")[2]: upload.version for upload in found}["old.jpg"] == etag
    assert {upload.uri.partition("inbox/")[2] for upload in found} == {"a b+é😀.jpg", "sub/0.jpg", "old.jpg"}


def test_more_objects_than_a_page_holds(s3_server: str, s3_client: Any, bucket: str) -> None:
    def act() -> None:
        for number in range(1005):
            s3_client.put_object(Bucket=bucket, Key=f"inbox/{number}.jpg", Body=b"new")

    found = asyncio.run(take(watched(s3_server, bucket), 1005, act))
    assert len({upload.uri for upload in found}) == 1005


def test_a_bucket_that_appears_later(s3_server: str, s3_client: Any, bucket: str) -> None:
    later = f"later{uuid.uuid4().hex}"
    spec = watched(s3_server, bucket, uri=f"s3://{later}/inbox")

    def act() -> None:
        s3_client.create_bucket(Bucket=later)
        s3_client.put_object(Bucket=later, Key="inbox/a.jpg", Body=b"new")

    assert [upload.uri for upload in asyncio.run(take(spec, 1, act))] == [f"s3://{later}/inbox/a.jpg"]


def test_throttling_delays_and_loses_nothing(
    s3_server: str, s3_client: Any, bucket: str, proxy: FaultyProxy
) -> None:
    def act() -> None:
        proxy.on = "list-type"
        proxy.faults.extend(["busy"] * 6)
        s3_client.put_object(Bucket=bucket, Key="inbox/a.jpg", Body=b"new")

    found = asyncio.run(take(watched(proxy.url, bucket, state_url=s3_server), 1, act))
    assert [upload.uri for upload in found] == [f"s3://{bucket}/inbox/a.jpg"]


def test_only_the_version_of_the_upload_is_read(
    s3_server: str, s3_client: Any, bucket: str, tmp_path: Path
) -> None:
    def act() -> None:
        for name in ("kept", "replaced", "deleted"):
            s3_client.put_object(Bucket=bucket, Key=f"inbox/{name}.jpg", Body=name.encode())

    found = asyncio.run(take(watched(s3_server, bucket), 3, act))
    (tmp_path / "uploads.jsonl").write_bytes(to_jsonl(found))
    s3_client.put_object(Bucket=bucket, Key="inbox/replaced.jpg", Body=b"something else")
    s3_client.delete_object(Bucket=bucket, Key="inbox/deleted.jpg")
    spec = SourceSpec(
        uri=f"s3://{bucket}/inbox",
        manifest=str(tmp_path / "uploads.jsonl"),
        storage_options=options(s3_server),
        attempts=1,
    )
    root, entries = list_source(spec)
    deleted, kept, replaced = entries
    assert read_entry(root, kept, max_bytes=100) == b"kept"
    with pytest.raises(RecordReadError):
        read_entry(root, deleted, max_bytes=100)
    with pytest.raises(UploadChangedError, match="newer version is an upload of its own"):
        read_entry(root, replaced, max_bytes=100)
