"""A real S3 server behind a proxy that stalls, resets, refuses and cuts."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from components import requires

from airflow_provider_aiopt.data.listing import list_source
from airflow_provider_aiopt.data.records import BadRecord, Record
from airflow_provider_aiopt.data.source import Source
from airflow_provider_aiopt.exceptions import SourceError
from airflow_provider_aiopt.spec import SourceSpec

requires("moto", "make install")
requires("s3fs", "pip install 'airflow-provider-aiopt[s3]'")

sys.path[:0] = [str(Path(__file__).parent)]
from faulty_proxy import Fault, FaultyProxy, running  # noqa: E402  # found through the line above
from s3fs import S3FileSystem  # noqa: E402  # the same

pytestmark = pytest.mark.integration

CONTENT = {f"photo-{number}.bin": bytes([number]) * 50_000 for number in range(4)}
ROWS = 3000


def table() -> bytes:
    stream = io.BytesIO()
    pq.write_table(
        pa.table({"text": [f"row {number}" for number in range(ROWS)]}), stream, row_group_size=500
    )
    return stream.getvalue()


@pytest.fixture(scope="module")
def client(s3_client: Any) -> Any:
    """A client of the S3 server, which has a bucket of objects."""
    s3_client.create_bucket(Bucket="photos")
    for name, content in CONTENT.items():
        s3_client.put_object(Bucket="photos", Key=f"files/{name}", Body=content)
    lines = ["text", *(f"row {number}" for number in range(ROWS))]
    s3_client.put_object(Bucket="photos", Key="rows/a.csv", Body="\n".join(lines))
    s3_client.put_object(Bucket="photos", Key="rows/a.parquet", Body=table())
    return s3_client


@pytest.fixture
def proxy(s3_server: str, client: Any) -> Iterator[FaultyProxy]:
    with running(s3_server) as started:
        yield started


def spec(proxy: FaultyProxy, folder: str, **settings: Any) -> SourceSpec:
    return SourceSpec(
        uri=f"s3://photos/{folder}",
        storage_options={
            "key": "a",
            "secret": "b",
            "client_kwargs": {"endpoint_url": proxy.url, "region_name": "us-east-1"},
            # What the driver tries by itself is not what is tested.
            "config_kwargs": {"retries": {"total_max_attempts": 1}},
            "skip_instance_cache": True,
        },
        **{"backoff_s": 0.05, "read_timeout_s": 1.0, "attempts": 3, **settings},
    )


def opened(source_spec: SourceSpec) -> Source:
    return Source(source_spec, *list_source(source_spec))


def read(source: Source) -> list[Record | BadRecord]:
    with ThreadPoolExecutor(1) as pool:
        return list(source.read(0, source.count(), pool, ahead=1))


def plan(proxy: FaultyProxy, on: str, *faults: Fault) -> None:
    """Let the proxy answer requests whose URL holds *on* with *faults*, one each, and then rightly."""
    proxy.on = on
    proxy.faults.extend(faults)


# More than the five attempts that the driver itself makes of some calls.
PASSING: dict[str, list[Fault]] = {
    "stalls": ["stall"],
    "is busy": ["busy"] * 6,
    "resets": ["reset"] * 6,
    "is cut off": ["cut"] * 6,
}


@pytest.mark.parametrize("faults", PASSING.values(), ids=PASSING)
def test_an_object_is_read_in_the_end(proxy: FaultyProxy, faults: list[Fault]) -> None:
    source = opened(spec(proxy, "files", attempts=8))
    plan(proxy, "photo-2", *faults)
    records = read(source)

    assert {record.id: record.payload for record in records if isinstance(record, Record)} == CONTENT
    assert source.retries >= 1
    assert not proxy.faults


@pytest.mark.parametrize("fault", ["stall", "busy", "reset", "cut"])
def test_an_outage_ends_in_one_error_that_names_the_object(proxy: FaultyProxy, fault: Fault) -> None:
    source = opened(spec(proxy, "files", attempts=2))
    plan(proxy, "photo-2", *[fault] * 100)
    began = time.monotonic()
    with pytest.raises(
        SourceError, match=r"Cannot read s3://photos/files/photo-2\.bin: .+, at the last of 2 attempts\. The"
    ) as caught:
        read(source)

    assert time.monotonic() - began < 20
    assert source.retries == 1
    if fault == "stall":
        assert "no answer within 1 s" in str(caught.value)


def test_a_listing_that_stalls_is_made_again(proxy: FaultyProxy) -> None:
    plan(proxy, "list-type=2", "stall")
    source = opened(spec(proxy, "files", list_timeout_s=2.0))

    assert source.count() == len(CONTENT)
    assert source.retries == 1


def test_a_listing_that_always_fails_names_the_source(
    proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The driver asks in several ways, each five times with growing waits, which no option turns off.
    monkeypatch.setattr(S3FileSystem, "retries", 1)
    plan(proxy, "list-type=2", *["busy"] * 100)
    with pytest.raises(
        SourceError, match=r"Cannot list s3://photos/files: .+, at the last of 2 attempts\. Check source"
    ):
        opened(spec(proxy, "files", attempts=2))


def test_an_object_that_is_gone_is_its_own_fault_and_not_asked_for_again(
    proxy: FaultyProxy, client: Any
) -> None:
    client.put_object(Bucket="photos", Key="going/a", Body=b"x")
    source = opened(spec(proxy, "going"))
    client.delete_object(Bucket="photos", Key="going/a")
    (bad,) = read(source)

    assert isinstance(bad, BadRecord)
    assert (bad.id, bad.error_class) == ("a", "RecordReadError")
    assert source.retries == 0


@pytest.mark.parametrize("format_name", ["csv", "parquet"])
@pytest.mark.parametrize("faults", PASSING.values(), ids=PASSING)
def test_rows_are_read_in_the_end(proxy: FaultyProxy, format_name: str, faults: list[Fault]) -> None:
    source = opened(
        spec(proxy, "rows", format=format_name, columns=("text",), pattern=f"*.{format_name}", attempts=8)
    )
    plan(proxy, f"a.{format_name}", *faults)
    records = read(source)

    assert [record.payload for record in records if isinstance(record, Record)] == [
        f"row {number}".encode() for number in range(ROWS)
    ]
    assert not proxy.faults
