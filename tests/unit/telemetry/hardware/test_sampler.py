from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest
from threads import running_threads

from airflow_provider_aiopt.telemetry.hardware import sampler as module
from airflow_provider_aiopt.telemetry.hardware.reading import MachineFacts, ProcessUse, Reading
from airflow_provider_aiopt.telemetry.hardware.sampler import MAX_COST, THREAD, Sampler, shared_sampler

FACTS = MachineFacts(memory_limit_bytes=4096)


class FakeMeter:
    """A machine whose clock goes on by *step_s* at each reading and whose process keeps two cores busy."""

    facts = FACTS

    def __init__(self, step_s: float = 1.0) -> None:
        self.now = 100.0
        self.step_s = step_s
        self.readings = 0
        self.first = threading.Event()

    def read(self) -> Reading:
        reading = Reading(self.now, ProcessUse(cpu_s=2 * self.now))
        self.now += self.step_s
        self.readings += 1
        self.first.set()
        return reading


class BrokenMeter(FakeMeter):
    def read(self) -> Reading:
        raise ValueError("no such field")


class HangingMeter(FakeMeter):
    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def read(self) -> Reading:
        assert self.released.wait(60)
        return super().read()


def sampler_of(meter: FakeMeter, **options: float) -> Sampler:
    return Sampler(lambda: meter, now=lambda: meter.now, **options)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = running_threads()
    yield
    for thread in running_threads() - before:
        thread.join(60)
    assert running_threads() <= before


def test_a_stage_is_sampled_from_beginning_to_end() -> None:
    meter = FakeMeter()
    sampler = sampler_of(meter)
    watch = sampler.begin(0.5)
    assert meter.first.wait(60)
    use = sampler.end(watch)

    assert use is not None
    assert use.samples == meter.readings >= 2
    assert use.cpu_cores is not None
    assert use.cpu_cores.mean == 2.0
    assert use.memory_limit_bytes == 4096


def test_stages_that_overlap_share_a_thread_and_their_samples() -> None:
    meter = FakeMeter()
    sampler = sampler_of(meter)
    first = sampler.begin(3600.0)
    assert meter.first.wait(60)
    second = sampler.begin(3600.0)
    assert len([thread for thread in running_threads() if thread.name == THREAD]) == 1
    sampler.end(first)
    assert len([thread for thread in running_threads() if thread.name == THREAD]) == 1
    use = sampler.end(second)

    assert use is not None
    assert meter.readings <= 4


def test_a_sampler_begins_again_after_its_thread_has_ended() -> None:
    meter = FakeMeter()
    sampler = sampler_of(meter)
    for _ in range(2):
        meter.first.clear()
        watch = sampler.begin(1.0)
        assert meter.first.wait(60)
        assert sampler.end(watch) is not None
        assert THREAD not in {thread.name for thread in running_threads()}


def test_turns_wait_for_the_next_sample_and_longer_after_a_costly_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    meter, spent = FakeMeter(step_s=0.0), [0.0, 0.0, 1.0, 1.02]
    sampler = Sampler(lambda: meter, now=lambda: meter.now, cpu=lambda: spent.pop(0))
    monkeypatch.setattr(sampler, "_running", lambda: True)
    sampler.begin(1.0)

    assert sampler.turn() == 0
    assert sampler.turn() == 1.0
    meter.now += 1.0
    assert sampler.turn() == 0
    assert sampler.turn() == pytest.approx(0.02 / MAX_COST)
    assert meter.readings == 2


def test_without_a_watch_a_turn_ends_the_thread() -> None:
    assert sampler_of(FakeMeter()).turn() is None


def test_a_reading_that_fails_costs_the_account_and_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    sampler = sampler_of(BrokenMeter())
    with caplog.at_level(logging.WARNING):
        assert sampler.end(sampler.begin(1.0)) is None

    assert "The hardware is sampled no more" in caplog.text
    assert "no such field" in caplog.text


def test_a_driver_that_hangs_does_not_hold_the_stage(caplog: pytest.LogCaptureFixture) -> None:
    meter = HangingMeter()
    sampler = sampler_of(meter, patience_s=0.01)
    watch = sampler.begin(1.0)
    thread = next(thread for thread in running_threads() if thread.name == THREAD)
    with caplog.at_level(logging.WARNING):
        assert sampler.end(watch) is None
    assert "was not read within 0.01 s" in caplog.text
    assert sampler.end(sampler.begin(1.0)) is None, "later stages go without"
    meter.released.set()
    thread.join(60)


def test_where_no_thread_can_start_the_stage_goes_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    sampler = sampler_of(FakeMeter())
    with caplog.at_level(logging.WARNING):
        assert sampler.end(sampler.begin(1.0)) is None
    assert "can't start new thread" in caplog.text


def test_a_process_has_one_sampler_and_a_forked_one_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = shared_sampler()
    assert shared_sampler() is mine
    monkeypatch.setattr(module, "_samplers", dict(module._samplers))
    monkeypatch.setattr(module.os, "getpid", lambda: -1)
    assert shared_sampler() is not mine
