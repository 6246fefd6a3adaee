from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest

from airflow_provider_aiopt.tuning.attempt import follow
from airflow_provider_aiopt.tuning.child import Begin
from airflow_provider_aiopt.tuning.measuring import MeasuringPlan, Tick, WindowMeter
from airflow_provider_aiopt.tuning.models import Limits, Objective, Outcome

PLAN = MeasuringPlan(warm_up_s=0.0, window_s=0.1, least=3, most=6)


def ticks(rate: float, latency_s: float = 0.1, begin: float = 0.0) -> Iterator[Tick | Begin]:
    yield Begin(begin)
    for step in range(1000):
        yield Tick(begin + step / 10, round(rate / 10), (latency_s,) * 10)


def outcome(
    events: Iterator[Tick | Begin],
    *,
    objective: Objective = "throughput",
    limits: Limits | None = None,
    below: float = 0.0,
) -> tuple[Outcome, str | None, WindowMeter, list[tuple[int, float]]]:
    meter, told = WindowMeter(PLAN), []

    def should_prune(window: int, value: float) -> bool:
        told.append((window, value))
        return value < below

    found, reason = follow(
        events, meter, objective=objective, limits=limits or Limits(), should_prune=should_prune
    )
    return found, reason, meter, told


def test_a_steady_run_ends_as_soon_as_it_may() -> None:
    found, reason, meter, told = outcome(ticks(1000))
    assert (found, reason, len(meter.windows)) == ("complete", None, 3)
    assert told == [(0, pytest.approx(1000)), (1, pytest.approx(1000))]


def test_what_falls_behind_is_given_up() -> None:
    found, reason, meter, _ = outcome(ticks(100), below=500)
    assert (found, len(meter.windows)) == ("pruned", 1)
    assert reason == "fell behind after 1 windows"


def test_latency_is_what_is_told_where_it_is_the_objective() -> None:
    _, _, _, told = outcome(ticks(1000, latency_s=0.25), objective="latency")
    assert told[0] == (0, pytest.approx(0.25))


@pytest.mark.parametrize(
    ("latency_s", "found"), [(0.09, "complete"), (0.11, "infeasible"), (0.2, "infeasible")]
)
def test_batches_that_take_too_long_break_the_limit(latency_s: float, found: str) -> None:
    result, reason, meter, _ = outcome(ticks(1000, latency_s), limits=Limits(latency_s=0.1))
    assert result == found
    assert len(meter.windows) == 3
    assert reason is None or "above the limit of 100 ms" in reason


def test_a_run_that_just_ends_tells_nothing() -> None:
    found, reason, _, _ = outcome(islice(ticks(1000), 3))
    assert (found, reason) == ("failed", "the run ended before anything was measured")


def test_limits_say_by_how_much_they_are_passed() -> None:
    limits = Limits(latency_s=0.1, memory_bytes=1000)
    assert limits.excess(0.15, 500) == pytest.approx({"latency": 0.5, "memory": -0.5})
    assert limits.excess(None, 2000) == {"memory": 1.0}
    assert Limits().excess(0.1, 100) == {}
