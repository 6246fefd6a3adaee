from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.telemetry.testing import EPOCH
from airflow_provider_aiopt.telemetry.trend import TrendRun, build_trend, is_regression, percentile

durations = st.floats(0, 1e6)


def run(number: int, state: str = "success", **stages: float) -> TrendRun:
    return TrendRun(
        run_id=f"run-{number}",
        state=state,
        started_at=EPOCH + timedelta(minutes=number),
        wall_s=sum(stages.values()),
        stages=stages,
    )


@pytest.mark.parametrize(
    ("latest", "earlier", "regressed"),
    [
        (16, [10] * 5, True),
        (16, [10] * 4, False),  # too few to tell
        (15, [10] * 5, False),  # not above 1.5 times the median
        (16, [10, 10, 10, 10, 20], False),  # not above the p95
        (20, [10, 10, 10, 10, 12], True),
        (0.1, [0] * 5, True),
    ],
)
def test_a_regression_is_beyond_both_bounds(latest: float, earlier: list[float], regressed: bool) -> None:
    assert is_regression(latest, earlier) is regressed


@given(st.lists(durations, min_size=5, max_size=60))
def test_a_stage_that_is_as_fast_as_ever_has_not_regressed(earlier: list[float]) -> None:
    assert not is_regression(min(earlier), earlier)


@given(st.lists(durations, min_size=1, max_size=60))
def test_percentiles_are_ordered_and_within_the_values(values: list[float]) -> None:
    p50, p95 = percentile(values, 50), percentile(values, 95)
    slack = 1e-9 * max(values)
    assert min(values) - slack <= p50 <= p95 + slack
    assert p95 <= max(values) + slack


def test_percentiles_are_interpolated() -> None:
    assert percentile([1, 2, 3, 4], 50) == 2.5
    assert percentile(list(range(101)), 95) == 95
    assert percentile([3.0], 95) == 3.0


def test_a_trend_has_each_stage_over_its_runs() -> None:
    runs = [run(number, ingest=1, inference=2) for number in range(6)] + [run(6, ingest=1, inference=4)]

    trend = build_trend("dag", runs)

    assert [item.run_id for item in trend.runs] == [f"run-{number}" for number in range(7)]
    assert trend.stages["inference"].latest == 4
    assert trend.stages["inference"].p50 == 2
    assert trend.stages["inference"].regressed
    assert not trend.stages["ingest"].regressed


def test_only_runs_that_succeeded_are_compared() -> None:
    runs = [*(run(number, inference=2) for number in range(6)), run(6, "failed", inference=90)]

    trend = build_trend("dag", runs)

    assert len(trend.runs) == 7
    assert (trend.stages["inference"].latest, trend.stages["inference"].regressed) == (2, False)


def test_a_stage_that_only_some_runs_have() -> None:
    trend = build_trend("dag", [run(0, resize=1), run(1)])
    assert trend.stages["resize"].latest == 1


def test_no_runs() -> None:
    trend = build_trend("dag", [])
    assert (trend.runs, trend.stages) == ((), {})
