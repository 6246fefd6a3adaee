from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_aiopt.doctor.checks.storage import (
    SOURCE,
    WORKSPACE,
    judge_room,
    judge_source,
    judge_workspace,
)
from airflow_provider_aiopt.doctor.consumption import Consumption
from airflow_provider_aiopt.doctor.context import Addresses, CheckContext
from airflow_provider_aiopt.doctor.models import Finding, Skip
from airflow_provider_aiopt.doctor.storage import MIB, Latency, SourceSpeed, WorkspaceSpeed

FAST = SourceSpeed(0.1, 1000, Latency(0.001, 0.002, 8), 1000.0, 100 * MIB, 16)
SLOW = SourceSpeed(0.1, 1000, Latency(0.5, 0.6, 8), 30.0, 3 * MIB, 16)


class TestSource:
    @pytest.mark.parametrize(
        ("speed", "cores", "severity"),
        [
            (FAST, 2, "ok"),
            (SLOW, 2, "warning"),
            (replace(FAST, bytes_per_s=10 * MIB), 16, "warning"),
            # A few large files: their rows are the records.
            (replace(SLOW, bytes_per_s=200 * MIB), 2, "ok"),
        ],
    )
    def test_beside_what_the_cores_can_take(self, speed: SourceSpeed, cores: int, severity: str) -> None:
        found = judge_source("s3://x", speed, None, cores)
        assert found.severity == severity
        assert "one file at a time p50" in found.evidence

    @pytest.mark.parametrize(
        ("files_per_s", "bytes_per_s", "severity", "share"),
        [
            (10.0, 1 * MIB, "ok", "33%"),
            (25.0, 1 * MIB, "warning", "83%"),
            (10.0, 2.9 * MIB, "warning", "97%"),
        ],
    )
    def test_beside_what_a_run_took(
        self, files_per_s: float, bytes_per_s: float, severity: str, share: str
    ) -> None:
        consumed = Consumption("runs/1", files_per_s, bytes_per_s, 0.9)
        found = judge_source("s3://x", SLOW, consumed, 2)
        assert found.severity == severity
        assert f"the run runs/1 took {files_per_s:.0f} records/s" in found.evidence
        assert f"{share} of that, and waited 90% of the time" in found.evidence

    def test_it_is_measured(self, tmp_path: Path) -> None:
        (tmp_path / "a.bin").write_bytes(b"x" * 10)
        (found,) = SOURCE.run(CheckContext(addresses=Addresses(source=str(tmp_path))))
        assert isinstance(found, Finding)
        assert found.evidence.startswith("listed 1 files in ")

    @pytest.mark.parametrize(("name", "severity"), [("absent", "error"), ("", "warning")])
    def test_a_source_that_is_not_there_or_empty(self, tmp_path: Path, name: str, severity: str) -> None:
        (found,) = SOURCE.run(CheckContext(addresses=Addresses(source=str(tmp_path / name))))
        assert isinstance(found, Finding)
        assert found.severity == severity

    def test_a_run_without_reports_does_not_hide_the_speed(self, tmp_path: Path) -> None:
        (tmp_path / "a.bin").write_bytes(b"x" * 10)
        addresses = Addresses(source=str(tmp_path), run=str(tmp_path / "run"))
        first, second = SOURCE.run(CheckContext(addresses=addresses))
        assert isinstance(first, Finding)
        assert (first.severity, first.subject) == ("warning", "run report")
        assert isinstance(second, Finding)
        assert "listed 1 files" in second.evidence


class TestWorkspace:
    speed = WorkspaceSpeed(
        Latency(0.01, 0.02, 10), Latency(0.001, 0.002, 10), Latency(0.001, 0.002, 10), 100 * MIB, 500 * MIB
    )

    @pytest.mark.parametrize(
        ("changed", "severity", "evidence"),
        [
            ({}, "ok", "write p50 10 ms"),
            ({"write": Latency(0.08, 0.15, 10)}, "warning", "commits 768 files, 61 s of its tasks' time"),
            ({"read_bytes_per_s": 10.0 * MIB}, "warning", "70 prepared photographs"),
            ({"write_bytes_per_s": 1.0 * MIB}, "warning", "7 prepared photographs"),
        ],
    )
    def test_its_speed(self, changed: dict[str, object], severity: str, evidence: str) -> None:
        found = judge_workspace("/work", replace(self.speed, **changed))
        assert found.severity == severity
        assert evidence in found.evidence

    @pytest.mark.parametrize(("free", "severity"), [(100 * 1024**3, "ok"), (500 * MIB, "warning")])
    def test_the_room_that_is_left(self, free: int, severity: str) -> None:
        assert judge_room("/work", 200 * 1024**3, free).severity == severity

    def test_it_is_measured(self, tmp_path: Path) -> None:
        found = list(WORKSPACE.run(CheckContext(addresses=Addresses(work_dir=str(tmp_path)))))
        assert [isinstance(item, Finding) for item in found] == [True, True]

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        addresses = Addresses(work_dir=str(tmp_path / "file" / "runs"))
        (found,) = WORKSPACE.run(CheckContext(addresses=addresses))
        assert isinstance(found, Finding)
        assert found.severity == "error"


def test_without_addresses_they_are_skipped() -> None:
    for check in (SOURCE, WORKSPACE):
        (found,) = check.run(CheckContext())
        assert isinstance(found, Skip)
