from __future__ import annotations

import itertools
import os
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_aiopt.telemetry.hardware import stage as hardware_stage
from airflow_provider_aiopt.telemetry.hardware.models import HardwareUse, Level
from airflow_provider_aiopt.telemetry.recorder import StageRecorder, utc_now
from airflow_provider_aiopt.telemetry.testing import make_task

BEGIN = datetime(2026, 11, 24, tzinfo=UTC)


def recorder(stage: str = "inference") -> StageRecorder:
    ticks = itertools.count()
    return StageRecorder(
        "pipeline",
        stage,
        shard="00001",
        task=make_task(),
        today=lambda: BEGIN + timedelta(seconds=next(ticks)),
    )


def test_what_was_counted_is_reported() -> None:
    with recorder() as stage:
        stage.items_in, stage.items_out, stage.quarantined, stage.resumed_items = 9, 7, 2, 3
        stage.bytes_in, stage.bytes_out = 100, 50
        stage.batch_sizes.update([4, 1, 4])
        stage.runtime = "onnxruntime CPU"
        stage.details["model"] = "m"
    report = stage.report()

    assert (report.pipeline, report.stage, report.shard, report.task) == (
        "pipeline",
        "inference",
        "00001",
        make_task(),
    )
    assert (report.items_in, report.items_out, report.quarantined, report.resumed_items) == (9, 7, 2, 3)
    assert (report.bytes_in, report.bytes_out) == (100, 50)
    assert report.batch_sizes == {1: 1, 4: 2}
    assert (report.runtime, report.details) == ("onnxruntime CPU", {"model": "m"})
    assert (report.started_at, report.ended_at) == (BEGIN, BEGIN + timedelta(seconds=1))
    assert (report.state, report.error, report.pid) == ("success", None, os.getpid())
    assert report.peak_memory_bytes > 0


def test_times_add_up_and_model_load_is_a_part_of_busy() -> None:
    with recorder() as stage:
        for phase in ("wait_input", "model_load", "wait_output"):
            with stage.phase(phase):
                sum(range(20_000))
    report = stage.report()

    assert report.busy_s + report.wait_input_s + report.wait_output_s == pytest.approx(report.wall_s)
    assert 0 < report.model_load_s < report.busy_s


def test_a_stage_that_raises_says_so_and_the_error_goes_on() -> None:
    stage = recorder()
    stage.items_in = 4
    with pytest.raises(LookupError, match="no such record"), stage, stage.phase("wait_input"):
        raise LookupError("no such record")
    report = stage.report()

    assert (report.state, report.error, report.items_in) == ("failed", "LookupError: no such record", 4)
    assert report.busy_s + report.wait_input_s + report.wait_output_s == pytest.approx(report.wall_s)


def test_a_long_message_is_cut() -> None:
    stage = recorder()
    with pytest.raises(ValueError, match="xxx"), stage:
        raise ValueError("x" * 5000)
    assert len(stage.report().error or "") == 1000


def test_an_interrupted_stage_has_failed() -> None:
    stage = recorder()
    with pytest.raises(KeyboardInterrupt), stage:
        raise KeyboardInterrupt
    assert stage.report().state == "failed"


def test_the_wall_clock_is_in_utc() -> None:
    assert utc_now().tzinfo is UTC


class FakeSampler:
    """Gives every stage *use* as its account, and says when it was asked."""

    def __init__(self, use: HardwareUse) -> None:
        self.use = use
        self.calls: list[str] = []

    def begin(self, interval_s: float) -> float:
        self.calls.append(f"begin at {interval_s} s")
        return interval_s

    def end(self, watch: float) -> HardwareUse:
        self.calls.append(f"end of {watch} s")
        return self.use


@pytest.fixture
def sampler(monkeypatch: pytest.MonkeyPatch) -> FakeSampler:
    gpu = Level(mean=0.75, max=1.0)
    fake = FakeSampler(HardwareUse(interval_s=2.0, samples=3, gpu_utilisation=gpu))
    monkeypatch.setattr(hardware_stage, "shared_sampler", lambda: fake)
    return fake


def test_the_hardware_is_sampled_while_the_stage_runs(sampler: FakeSampler) -> None:
    recorder = StageRecorder("pipeline", "inference", hardware_interval_s=2.0)
    assert sampler.calls == []
    with pytest.raises(ZeroDivisionError), recorder:
        assert sampler.calls == ["begin at 2.0 s"]
        raise ZeroDivisionError
    report = recorder.report()

    assert sampler.calls == ["begin at 2.0 s", "end of 2.0 s"]
    assert report.hardware == sampler.use
    assert report.gpu_utilisation == 0.75


def test_without_an_interval_it_is_not(sampler: FakeSampler) -> None:
    with StageRecorder("pipeline", "inference", hardware_interval_s=0) as recorder:
        pass
    report = recorder.report()

    assert sampler.calls == []
    assert (report.hardware, report.gpu_utilisation) == (None, None)
