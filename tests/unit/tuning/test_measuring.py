from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.tuning.measuring import (
    MeasuringPlan,
    Tick,
    Window,
    WindowMeter,
    is_enough,
    summarise,
)

PLAN = MeasuringPlan(warm_up_s=1.0, window_s=0.5, least=3, most=5, precision=0.03)


def measured(meter: WindowMeter, *ticks: Tick) -> list[Window]:
    return [window for tick in ticks if (window := meter.add(tick)) is not None]


def test_the_warm_up_does_not_count() -> None:
    meter = WindowMeter(PLAN)
    slow = [Tick(10.0, 1), Tick(10.9, 1)]
    fast = [Tick(11.0 + 0.1 * step, 10, (0.2,)) for step in range(6)]
    (window,) = measured(meter, *slow, *fast)
    assert window.seconds == pytest.approx(0.5)
    assert (window.records, window.latencies_s) == (50, (0.2,) * 5)


@given(
    period=st.floats(0.01, 2.0),
    batch=st.integers(1, 64),
    together=st.integers(1, 4),
)
def test_however_large_batches_are_a_steady_rate_is_found_exactly(
    period: float, batch: int, together: int
) -> None:
    meter = WindowMeter(PLAN)
    for step in range(400):
        meter.add(Tick(step * period, batch * together))
    assert len(meter.windows) >= 2
    found = summarise(meter.windows)
    assert found.items_per_s == pytest.approx(batch * together / period)
    assert found.error < 1e-6


def test_what_lies_between_two_passes_is_no_part_of_a_window() -> None:
    meter = WindowMeter(MeasuringPlan(warm_up_s=0.0, window_s=0.2))
    measured(meter, *(Tick(0.1 * step, 1) for step in range(4)))
    meter.begin(59.0)
    later = measured(meter, *(Tick(60 + 0.1 * step, 1) for step in range(3)))
    assert later[0].seconds == pytest.approx(0.2)
    assert summarise(meter.windows).items_per_s == pytest.approx(10)


def test_passes_that_are_shorter_than_a_window_count_as_a_whole() -> None:
    meter = WindowMeter(MeasuringPlan(warm_up_s=0.5, window_s=0.4))
    found = []
    for number in range(8):  # of 0.25 s, of which the first results take 0.2 s
        found.append(meter.begin(number * 0.25))
        assert meter.add(Tick(number * 0.25 + 0.2, 10, (0.1,))) is None
        assert meter.add(Tick(number * 0.25 + 0.22, 10, (0.1,))) is None
    # The first results are at 0.2 s, so that passes from 0.75 s on are warm.
    assert [window is not None for window in found] == [False] * 5 + [True, False, True]
    assert {(round(window.seconds, 6), window.records) for window in meter.windows} == {(0.5, 40)}
    assert meter.windows[0].latencies_s == (0.1,) * 4


def test_the_interval_is_that_of_student() -> None:
    windows = [Window(1.0, 90), Window(1.0, 100), Window(1.0, 110)]
    found = summarise(windows)
    # 4.303 * 10 / sqrt(3), by the table of Student's distribution with two degrees of freedom
    assert found.error * 100 == pytest.approx(24.84, abs=0.01)
    assert math.isinf(summarise(windows[:1]).error)


def test_a_trial_ends_once_it_is_known_well_enough_or_at_the_latest_after_the_most_windows() -> None:
    steady, wild = [Window(1.0, 100)] * 5, [Window(1.0, 50), Window(1.0, 150)] * 3
    assert [is_enough(steady[:count], PLAN) for count in (1, 2, 3)] == [False, False, True]
    assert [is_enough(wild[:count], PLAN) for count in (3, 4, 5)] == [False, False, True]


def test_where_latency_matters_there_must_be_some_batches() -> None:
    few, many = Window(1.0, 100, (0.1,)), Window(1.0, 100, (0.1,) * 10)
    assert not is_enough([few] * 3, PLAN, latency=True)
    assert is_enough([many] * 3, PLAN, latency=True)


def test_the_95th_percentile_is_over_all_batches() -> None:
    latencies = tuple(number / 100 for number in range(1, 101))
    found = summarise([Window(1.0, 50, latencies[:50]), Window(1.0, 50, latencies[50:])])
    assert found.p95_s == pytest.approx(0.9505)
    assert found.batches == 100
