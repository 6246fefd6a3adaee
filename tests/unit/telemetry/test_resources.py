from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_aiopt.telemetry import resources
from airflow_provider_aiopt.telemetry.resources import ResourceUse

MEBIBYTE = 1024 * 1024


def test_cpu_time_is_that_between_the_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([10.0, 13.0])
    monkeypatch.setattr(resources, "_cpu_seconds", lambda: next(readings))
    monkeypatch.setattr(resources, "usable_cores", lambda: 4)

    use = ResourceUse()
    use.stop()

    assert use.cpu_s == 3
    assert use.utilisation(1.5) == 0.5
    assert use.utilisation(0) == 0


def test_a_clock_that_goes_back_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([10.0, 9.0])
    monkeypatch.setattr(resources, "_cpu_seconds", lambda: next(readings))
    use = ResourceUse()
    use.stop()
    assert use.cpu_s == 0


def test_work_takes_cpu_time() -> None:
    use = ResourceUse()
    before = resources._cpu_seconds()
    while resources._cpu_seconds() == before:  # its resolution is 10 ms
        sum(range(10_000))
    use.stop()
    assert use.cpu_s > 0


def test_the_peak_is_that_of_the_stage_where_the_kernel_lets_it_be_reset() -> None:
    first = ResourceUse()
    ballast = bytearray(64 * MEBIBYTE)
    ballast[::4096] = b"x" * len(ballast[::4096])
    first.stop()
    del ballast
    second = ResourceUse()
    second.stop()

    assert first.peak_memory_bytes > 64 * MEBIBYTE
    if resources._CLEAR_REFS.exists():
        assert second.peak_memory_bytes < first.peak_memory_bytes - 32 * MEBIBYTE


def test_without_the_kernels_files_the_process_has_a_peak(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(resources, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(resources, "_CLEAR_REFS", tmp_path / "none" / "clear_refs")
    use = ResourceUse()
    use.stop()
    assert use.peak_memory_bytes > MEBIBYTE
