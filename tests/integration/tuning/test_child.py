from __future__ import annotations

import itertools
import os

import pytest
from custom_site import CustomSite

from airflow_provider_aiopt.tuning.child import Begin, Child, TooMuchMemoryError, TrialFailedError
from airflow_provider_aiopt.tuning.measuring import Tick
from airflow_provider_aiopt.tuning.works import Works

pytestmark = pytest.mark.integration

STALL_S = 60.0


def test_a_sample_is_run_again_and_again_until_it_is_ended(works: Works) -> None:
    with Child(works.make({"execution.batch_size": 8}), stall_s=STALL_S) as child:
        events: list[Tick | Begin] = []
        for event in child.measure():
            events.append(event)
            if sum(isinstance(item, Begin) for item in events) == 3:
                break
        pid = child._process.pid
    ticks = [event for event in events if isinstance(event, Tick)]
    assert sum(tick.records for tick in ticks) == 2 * works.sample.records
    assert all(later.at >= tick.at for tick, later in itertools.pairwise(ticks))
    assert sum(len(tick.latencies_s) for tick in ticks) == 2 * works.sample.records // 8
    assert all(latency > 0 for tick in ticks for latency in tick.latencies_s)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_rounds_are_limited_in_time_and_follow_each_other(works: Works) -> None:
    with Child(works.make({}), stall_s=STALL_S) as child:
        assert child.answer(10).endswith("/answers")
        for _ in range(2):
            assert any(isinstance(event, Tick) for event in child.measure(0.05))


def test_a_crash_says_by_which_signal(site: CustomSite, works: Works) -> None:
    site.add("07", b"crash")
    with Child(works.make({}), stall_s=STALL_S) as child, pytest.raises(TrialFailedError, match="SIGSEGV"):
        child.answer(20)


def test_a_hang_ends(site: CustomSite, works: Works) -> None:
    site.add("00", b"wait")
    with Child(works.make({}), stall_s=1.0) as child, pytest.raises(TrialFailedError, match="hung: no batch"):
        child.answer(20)


def test_too_much_memory_ends_it(works: Works) -> None:
    work = works.make({})
    with (
        Child(work, stall_s=STALL_S, memory_limit_bytes=2**20) as child,
        pytest.raises(TooMuchMemoryError, match="above the limit of 1 MiB"),
    ):
        list(child.measure())
