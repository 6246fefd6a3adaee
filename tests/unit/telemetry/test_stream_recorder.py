from __future__ import annotations

import pytest

from airflow_provider_aiopt.telemetry.hardware import stage as hardware_stage
from airflow_provider_aiopt.telemetry.hardware.models import HardwareSeries, HardwareUse, Level
from airflow_provider_aiopt.telemetry.reports import STAGES
from airflow_provider_aiopt.telemetry.stream_recorder import StreamRecorder

USE = HardwareUse(
    interval_s=1.0,
    samples=3,
    cpu_cores=Level(mean=1.5, max=2.0),
    gpu_utilisation=Level(mean=0.25, max=0.5),
    series=HardwareSeries(offsets_s=(1.0, 2.0), cpu_cores=(1.0, 2.0)),
)


class FakeSampler:
    def begin(self, interval_s: float) -> float:
        return interval_s

    def end(self, watch: float) -> HardwareUse:
        return USE


def test_all_stages_have_the_process_s_levels_and_the_first_its_series(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hardware_stage, "shared_sampler", FakeSampler)
    with StreamRecorder("pipeline") as recorder:
        pass
    reports = recorder.reports()

    assert tuple(report.stage for report in reports) == STAGES
    assert reports[0].hardware == USE
    for report in reports[1:]:
        assert report.hardware == USE.without_series()
    assert {report.gpu_utilisation for report in reports} == {0.25}


def test_without_an_interval_there_is_no_hardware() -> None:
    with StreamRecorder("pipeline", hardware_interval_s=0) as recorder:
        pass
    assert {report.hardware for report in recorder.reports()} == {None}
