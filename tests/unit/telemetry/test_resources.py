from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider_aiopt.telemetry import resources
from airflow_provider_aiopt.telemetry.resources import ResourceUse

MEBIBYTE = 1024 * 1024


def usages(**columns: Sequence[float | None]) -> Callable[[], SimpleNamespace]:
    """The operating system's counters at one moment after another; what is not named stands still."""
    usual = {
        "moment": [0.0, 2.0],
        "user_s": [0.0, 0.0],
        "system_s": [0.0, 0.0],
        "voluntary": [0, 0],
        "involuntary": [0, 0],
        "stalled_s": [None, None],
    }
    values = zip(*{**usual, **columns}.values(), strict=True)
    return lambda: SimpleNamespace(**dict(zip(usual, next(values), strict=True)))


def test_cpu_time_is_that_between_the_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_Usage", usages(user_s=[10.0, 12.5], system_s=[1.0, 1.5]))
    monkeypatch.setattr(resources, "usable_cores", lambda: 4)

    use = ResourceUse()
    use.stop()

    assert (use.cpu_s, use.user_s, use.system_s) == (3, 2.5, 0.5)
    assert use.utilisation(1.5) == 0.5
    assert use.utilisation(0) == 0


def test_a_clock_that_goes_back_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_Usage", usages(user_s=[10.0, 9.0]))
    use = ResourceUse()
    use.stop()
    assert use.cpu_s == 0


def test_work_takes_cpu_time() -> None:
    use = ResourceUse()
    before = os.times().user
    while os.times().user == before:  # its resolution is 10 ms
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


def test_switches_and_pressure_are_those_between_the_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    counters = usages(voluntary=[5, 9], involuntary=[1, 4], stalled_s=[7.0, 7.5])
    monkeypatch.setattr(resources, "_Usage", counters)
    use = ResourceUse()
    use.stop()
    assert (use.voluntary_switches, use.involuntary_switches, use.cpu_pressure) == (4, 3, 0.25)


def test_pressure_is_read_as_the_kernel_writes_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pressure = tmp_path / "cpu"
    monkeypatch.setattr(resources, "_PRESSURE", pressure)
    assert resources._stalled_seconds() is None
    pressure.write_text(
        "some avg10=13.10 avg60=8.57 avg300=5.16 total=40298513\nfull avg10=0.00 avg60=0.00 total=0\n"
    )
    assert resources._stalled_seconds() == 40.298513
