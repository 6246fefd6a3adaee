from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airflow_provider_aiopt.data.folder import Folder, resolve_filesystem
from airflow_provider_aiopt.doctor.consumption import Consumption, find_consumption
from airflow_provider_aiopt.exceptions import ReportError
from airflow_provider_aiopt.telemetry.run_report import write_stage_report
from airflow_provider_aiopt.telemetry.testing import make_stage_report

BEGAN = datetime(2026, 12, 1, tzinfo=UTC)


def write_run(folder: Path, *, items: int = 200, stage: str = "ingest") -> None:
    report = make_stage_report(
        stage=stage,
        started_at=BEGAN,
        ended_at=BEGAN + timedelta(seconds=10),
        wall_s=10.0,
        busy_s=2.0,
        wait_input_s=8.0,
        items_in=items,
        items_out=items,
        bytes_in=1_000_000,
    )
    write_stage_report(Folder.open(str(folder)), report)


def find(run: str | None, work_dir: str | None) -> Consumption | None:
    return find_consumption(run, work_dir, resolve_filesystem)


def test_what_a_run_took(tmp_path: Path) -> None:
    write_run(tmp_path)
    assert find(str(tmp_path), None) == Consumption(str(tmp_path), 20.0, 100_000.0, 0.8)


def test_the_newest_run_below_a_work_dir(tmp_path: Path) -> None:
    for number, name in enumerate(["dag/old", "dag/new", "other/older"]):
        write_run(tmp_path / name)
        age = {0: 100, 1: 10, 2: 1000}[number]
        changed = BEGAN.timestamp() - age
        os.utime(tmp_path / name / "reports", (changed, changed))
    found = find(None, str(tmp_path))
    assert found is not None
    assert found.run == str(tmp_path / "dag" / "new")


def test_no_run_at_all(tmp_path: Path) -> None:
    assert find(None, str(tmp_path)) is None
    assert find(None, str(tmp_path / "absent")) is None
    assert find(None, "s3://bucket/runs") is None
    assert find(None, None) is None


def test_a_run_without_ingestion(tmp_path: Path) -> None:
    write_run(tmp_path, stage="inference")
    assert find(str(tmp_path), None) is None


def test_a_run_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no stage reports"):
        find(str(tmp_path), None)
