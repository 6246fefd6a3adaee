from __future__ import annotations

import math

import pytest
from threads import running_threads

from airflow_provider_aiopt.telemetry.hardware import stage as module
from airflow_provider_aiopt.telemetry.hardware.models import HardwareUse, Level
from airflow_provider_aiopt.telemetry.hardware.stage import StageHardware, check_interval


class FakeSampler:
    def __init__(self, use: HardwareUse | None) -> None:
        self.use = use
        self.calls: list[object] = []

    def begin(self, interval_s: float) -> str:
        self.calls.append(interval_s)
        return "watch"

    def end(self, watch: str) -> HardwareUse | None:
        self.calls.append(watch)
        return self.use


@pytest.mark.parametrize(
    ("use", "gpu"),
    [
        (None, None),
        (HardwareUse(interval_s=1, samples=2), None),
        (HardwareUse(interval_s=1, samples=2, gpu_utilisation=Level(mean=0.5, max=1)), 0.5),
    ],
)
def test_the_account_is_there_once_the_stage_has_ended(
    monkeypatch: pytest.MonkeyPatch, use: HardwareUse | None, gpu: float | None
) -> None:
    sampler = FakeSampler(use)
    monkeypatch.setattr(module, "shared_sampler", lambda: sampler)
    hardware = StageHardware(2.0)
    hardware.begin()
    assert hardware.use is None
    hardware.end()
    hardware.end()

    assert (hardware.use, hardware.gpu_utilisation) == (use, gpu)
    assert sampler.calls == [2.0, "watch"]


def test_an_interval_of_0_samples_nothing() -> None:
    before = running_threads()
    hardware = StageHardware(0)
    hardware.begin()
    assert running_threads() == before
    hardware.end()
    assert hardware.use is None


@pytest.mark.parametrize("interval_s", [0, 0.1, 1, 3600])
def test_intervals(interval_s: float) -> None:
    assert check_interval(interval_s) == interval_s


@pytest.mark.parametrize("interval_s", [-1, 0.05, 3601, math.nan, math.inf])
def test_what_is_no_interval(interval_s: float) -> None:
    with pytest.raises(ValueError, match=r"it can be 0, for no samples, or 0\.1 to 3600 s"):
        check_interval(interval_s)
