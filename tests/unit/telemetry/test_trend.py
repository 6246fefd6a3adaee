from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.telemetry.reports import RunReport
from airflow_provider_aiopt.telemetry.summary import build_run_report
from airflow_provider_aiopt.telemetry.testing import EPOCH, make_stage_report
from airflow_provider_aiopt.telemetry.trend import TrendRun, build_trend, change_of, percentile, with_history

durations = st.floats(0, 1e6)


def run(number: int, state: str = "success", *, records: int = 0, **stages: float) -> TrendRun:
    return TrendRun(
        run_id=f"run-{number}",
        state=state,
        started_at=EPOCH + timedelta(minutes=number),
        wall_s=sum(stages.values()),
        records_in=records,
        stages=stages,
    )


@pytest.mark.parametrize(
    ("latest", "earlier", "change"),
    [
        (16, [10] * 8, "slower"),
        (16, [10] * 7, None),  # too few to tell
        (11.9, [10] * 8, None),  # too little to matter
        (12.1, [10] * 8, "slower"),
        (8.4, [10] * 8, None),
        (8.3, [10] * 8, "faster"),
        (16, [10] * 7 + [17], None),  # it was as slow before
        (16, [6, 8, 9, 10, 11, 12, 14, 15], None),  # within what is usual for it
        (40, [6, 8, 9, 10, 11, 12, 14, 15], "slower"),
        (16, [17, *[10] * 20], "slower"),  # that was too long ago
        (0.0008, [0.0004] * 8, None),  # both are below what is told apart
        (0.1, [0] * 8, "slower"),
    ],
)
def test_a_change_is_beyond_all_bounds(latest: float, earlier: list[float], change: str | None) -> None:
    assert change_of(latest, earlier) == change


@given(st.lists(durations, min_size=8, max_size=20), st.data())
def test_what_was_there_before_is_no_change(earlier: list[float], data: st.DataObject) -> None:
    assert change_of(data.draw(st.sampled_from(earlier)), earlier) is None


@given(st.lists(durations, min_size=9, max_size=21))
def test_at_most_one_of_alike_runs_is_marked_either_way(values: list[float]) -> None:
    others = [(value, values[:place] + values[place + 1 :]) for place, value in enumerate(values)]
    marks = [change_of(value, rest) for value, rest in others]
    assert marks.count("slower") <= 1
    assert marks.count("faster") <= 1


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
    runs = [run(number, ingest=1, inference=2) for number in range(8)] + [run(8, ingest=1, inference=4)]

    trend = build_trend("dag", runs)

    assert [item.run_id for item in trend.runs] == [f"run-{number}" for number in range(9)]
    assert trend.stages["inference"].latest == 4
    assert trend.stages["inference"].p50 == 2
    assert trend.stages["inference"].change == "slower"
    assert trend.stages["ingest"].change is None


def test_only_runs_of_the_same_size_tell_what_is_usual() -> None:
    small = [run(number, records=100, inference=1) for number in range(8)]
    large = [run(8 + number, records=1000, inference=10) for number in range(8)]

    assert build_trend("dag", [*small, large[0]]).stages["inference"].change is None
    assert (
        build_trend("dag", [*small, *large, run(16, records=1090, inference=13)]).stages["inference"].change
        == "slower"
    )


def test_only_runs_that_succeeded_are_compared() -> None:
    runs = [*(run(number, inference=2) for number in range(9)), run(9, "failed", inference=90)]

    trend = build_trend("dag", runs)

    assert len(trend.runs) == 10
    assert (trend.stages["inference"].latest, trend.stages["inference"].change) == (2, None)


def test_a_stage_that_only_some_runs_have() -> None:
    trend = build_trend("dag", [run(0, resize=1), run(1)])
    assert trend.stages["resize"].latest == 1


def test_no_runs() -> None:
    trend = build_trend("dag", [])
    assert (trend.runs, trend.stages) == ((), {})


def report(number: int, seconds: float, **fields: Any) -> RunReport:
    stage = make_stage_report(
        "inference", start=60 * number, wall_s=seconds, items_in=5, items_out=5, **fields
    )
    return build_run_report([stage], run_id=f"run-{number}")


class TestOneRun:
    def test_it_is_compared_with_those_before(self) -> None:
        earlier = [report(number, 2) for number in range(8)]

        (stage,) = with_history(report(9, 4), [*earlier, report(10, 9)]).stages

        assert (stage.usual_s, stage.change) == (2, "slower")

    def test_too_few_say_nothing(self) -> None:
        (stage,) = with_history(report(9, 4), [report(number, 2) for number in range(7)]).stages
        assert (stage.usual_s, stage.change) == (None, None)

    @pytest.mark.parametrize("fields", [{"state": "failed"}, {"resumed_items": 3}])
    def test_only_whole_runs_count(self, fields: dict[str, Any]) -> None:
        earlier = [report(number, 2, **(fields if number else {})) for number in range(8)]
        (stage,) = with_history(report(9, 4), earlier).stages
        assert stage.usual_s is None

        (stage,) = with_history(report(9, 4, **fields), [report(number, 2) for number in range(8)]).stages
        assert (stage.usual_s, stage.change) == (2, None)
