"""Storage that is slow, away or hangs."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow_support import REPOSITORY
from components import requires

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.doctor.checks.storage import SOURCE, WORKSPACE
from airflow_provider_aiopt.doctor.context import Addresses, CheckContext
from airflow_provider_aiopt.doctor.examine import make_check
from airflow_provider_aiopt.doctor.models import CheckResult
from airflow_provider_aiopt.telemetry.run_report import write_stage_report
from airflow_provider_aiopt.telemetry.testing import make_stage_report

pytestmark = pytest.mark.integration

FILES = 24
BYTES = 1000


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("objects")
    for number in range(FILES):
        (folder / f"{number:02d}.bin").write_bytes(b"x" * BYTES)
    return folder


@contextmanager
def throttled(folder: Path, seconds: float) -> Iterator[str]:
    """Serve a folder over HTTP, where each object takes its time; yield its URL."""
    requires("aiohttp", "make install")
    command = [sys.executable, "-m", "benchmarks.sick.storage_server", str(folder), str(seconds)]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}/"
        server.stdin.close()
        server.wait(timeout=20)


def source(addresses: Addresses, limit_s: float | None = None) -> CheckResult:
    return make_check(SOURCE, CheckContext(addresses=addresses), limit_s=limit_s)


def test_a_source_that_takes_its_time(objects: Path) -> None:
    with throttled(objects, 0.2) as url:
        result = source(Addresses(source=url))
    (found,) = result.findings
    assert found.severity == "warning"
    assert f"listed {FILES} files" in found.evidence
    assert "the source would set the pace" in found.evidence
    # Two requests one after the other may be made for a file; none is faster than the server.
    assert "one file at a time p50 2" in found.evidence or "one file at a time p50 4" in found.evidence


def test_beside_what_the_last_run_took_of_it(objects: Path, tmp_path: Path) -> None:
    began = datetime(2026, 12, 1, tzinfo=UTC)
    report = make_stage_report(
        stage="ingest",
        started_at=began,
        ended_at=began + timedelta(seconds=10),
        wall_s=10.0,
        busy_s=1.0,
        wait_input_s=9.0,
        items_in=6000,
        items_out=6000,
        bytes_in=6_000_000,
    )
    write_stage_report(Folder.open(str(tmp_path / "runs" / "dag" / "run")), report)
    with throttled(objects, 0.05) as url:
        result = source(Addresses(source=url, work_dir=str(tmp_path / "runs")))
    (found,) = result.findings
    assert found.severity == "warning"
    assert "took 600 records/s" in found.evidence
    assert "waited 90% of the time: the source sets its pace" in found.evidence


def test_a_source_that_is_away(objects: Path) -> None:
    requires("aiohttp", "make install")
    result = source(Addresses(source="http://127.0.0.1:9/"))
    assert result.severity == "error"


def test_a_source_that_never_answers_is_left_behind() -> None:
    requires("aiohttp", "make install")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = source(Addresses(source=f"http://127.0.0.1:{silent.getsockname()[1]}/"), limit_s=1.0)
    (found,) = result.findings
    assert (found.severity, found.evidence) == (
        "error",
        "not done after 1 s: something that it asks does not answer",
    )


@pytest.fixture
def bucket(s3_client: object) -> str:
    s3_client.create_bucket(Bucket="doctor")  # type: ignore[attr-defined]
    return "doctor"


def test_a_workspace_in_a_bucket_is_measured_and_left_empty(
    s3_server: str, s3_client: object, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    requires("s3fs", "make install")
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "ENDPOINT_URL": s3_server}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    context = CheckContext(addresses=Addresses(work_dir=f"s3://{bucket}/runs"))
    (found,) = make_check(WORKSPACE, context).findings
    assert "write p50" in found.evidence, found
    listed = s3_client.list_objects_v2(Bucket=bucket)  # type: ignore[attr-defined]
    assert listed.get("Contents", []) == []

    missing = CheckContext(addresses=Addresses(work_dir="s3://no-such-bucket/runs"))
    (found,) = make_check(WORKSPACE, missing).findings
    assert found.severity == "error"
