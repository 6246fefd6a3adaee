from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.exceptions import ConfigurationError
from airflow_provider_aiopt.telemetry.reports import StageReport, StageSummary
from airflow_provider_aiopt.telemetry.summary import build_run_report
from airflow_provider_aiopt.telemetry.thresholds import StageLimit, Thresholds, find_breaches, read_limits

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def stage(name: str = "inference", seconds: float = 10.0, **facts: Any) -> StageSummary:
    facts.setdefault("busy_s", seconds)
    report = StageReport(
        pipeline="p",
        stage=name,
        started_at=NOON,
        ended_at=NOON + timedelta(seconds=seconds),
        wall_s=seconds,
        **facts,
    )
    return build_run_report([report]).stages[0]


def breaches(*stages: StageSummary, **thresholds: Any) -> list[str]:
    held_to = Thresholds(read_limits(thresholds.pop("limits", {})), **thresholds)
    return [str(breach) for breach in find_breaches(stages, held_to)]


class TestSeconds:
    def test_what_is_over_its_limit_is_said_with_both(self) -> None:
        assert breaches(stage(seconds=12.34), limits={"inference": 5}) == [
            "inference took 12.3 s; its limit is 5.00 s"
        ]

    def test_the_limit_itself_is_allowed(self) -> None:
        assert breaches(stage(seconds=5.0), limits={"inference": 5.0}) == []

    def test_stages_without_a_limit_are_not_judged(self) -> None:
        assert breaches(stage("ingest"), stage("inference"), limits={"inference": 50}) == []

    def test_a_star_is_for_all_the_others(self) -> None:
        stages = [stage("ingest"), stage("resize"), stage("inference")]
        limits = {"*": 1, "inference": 60}
        assert [found.split()[0] for found in breaches(*stages, limits=limits)] == ["ingest", "resize"]

    @given(
        seconds=st.floats(min_value=1e-3, max_value=1e6),
        limit=st.floats(min_value=1e-3, max_value=1e6),
    )
    def test_there_is_a_breach_exactly_where_the_limit_is_exceeded(
        self, seconds: float, limit: float
    ) -> None:
        found = find_breaches([stage(seconds=seconds)], Thresholds({"*": StageLimit(seconds=limit)}))
        assert [breach.measured for breach in found] == ([seconds] if seconds > limit else [])


class TestSecondsPerItem:
    LIMITS = {"inference": {"seconds_per_item": 0.05}}  # noqa: RUF012 - never changed

    def test_bad_records_cost_time_as_well(self) -> None:
        slow = stage(seconds=10, items_in=100, items_out=80, quarantined=20)
        assert breaches(slow, limits=self.LIMITS) == [
            "inference took 100 ms per record; its limit is 50.0 ms"
        ]

    def test_what_an_earlier_attempt_finished_took_none(self) -> None:
        retry = stage(seconds=10, items_in=1000, items_out=1000, resumed_items=990)
        assert breaches(retry, limits=self.LIMITS) == [
            "inference took 1.00 s per record; its limit is 50.0 ms"
        ]

    def test_a_stage_without_records_is_not_judged(self) -> None:
        assert breaches(stage(), limits=self.LIMITS) == []

    def test_few_records_are_not_judged(self) -> None:
        slow = stage(seconds=10, items_out=5)
        assert breaches(slow, limits=self.LIMITS, min_items=6) == []
        assert len(breaches(slow, limits=self.LIMITS, min_items=5)) == 1

    def test_both_limits_of_a_stage_are_judged(self) -> None:
        limits = {"inference": {"seconds": 5, "seconds_per_item": 0.05}}
        assert len(breaches(stage(seconds=10, items_out=5), limits=limits)) == 2


class TestBadFraction:
    def test_of_each_stage_by_itself(self) -> None:
        stages = [
            stage("preprocess", items_out=22, quarantined=3),
            stage("inference", items_out=22),
        ]
        found = find_breaches(stages, Thresholds({}, max_bad_fraction=0.01))
        assert list(map(str, found)) == ["preprocess quarantined 12.0 % of its records; at most 1.0 % may be"]
        assert found[0].advice.startswith("3 records are in the run's quarantine")

    def test_none_may_be(self) -> None:
        assert breaches(stage(items_out=999, quarantined=1), max_bad_fraction=0)
        assert not breaches(stage(items_out=999), max_bad_fraction=0)

    def test_few_records_are_not_judged(self) -> None:
        assert breaches(stage(items_out=1, quarantined=1), max_bad_fraction=0.1, min_items=100) == []


@pytest.mark.parametrize(
    ("phases", "advice"),
    [
        ({"busy_s": 8.0, "model_load_s": 6.0, "wait_input_s": 2.0}, "60.0 % .* into loading its model. Each"),
        ({"busy_s": 8.0, "model_load_s": 1.0, "wait_input_s": 2.0}, "70.0 % .* into computing. Give it"),
        ({"busy_s": 1.0, "wait_input_s": 9.0}, "90.0 % .* into reading. Use faster storage"),
        ({"busy_s": 1.0, "wait_output_s": 9.0}, "90.0 % .* into writing. Use a faster work folder"),
    ],
    ids=["model", "computing", "input", "output"],
)
def test_the_advice_is_about_the_largest_phase(phases: dict[str, float], advice: str) -> None:
    (breach,) = find_breaches([stage(**phases)], Thresholds({"*": StageLimit(seconds=1)}))
    assert re.match(advice, breach.advice)


class TestReading:
    def test_numbers_mappings_and_limits(self) -> None:
        limits = read_limits(
            {
                "a": 5,
                "b": {"seconds_per_item": 0.1},
                "c": {"seconds": 1, "seconds_per_item": 2},
                "d": StageLimit(7),
            }
        )
        assert limits == {
            "a": StageLimit(5),
            "b": StageLimit(None, 0.1),
            "c": StageLimit(1, 2),
            "d": StageLimit(7),
        }

    @pytest.mark.parametrize(
        "limit",
        [0, -1, "5", True, None, float("nan"), float("inf"), {}, {"seconds": "5"}, StageLimit()],
        ids=repr,
    )
    def test_what_is_no_limit(self, limit: Any) -> None:
        with pytest.raises(
            ConfigurationError, match=r"threshold of stage 'inference' is .* above 0, such as 5\.0"
        ):
            read_limits({"inference": limit})

    def test_an_unknown_field(self) -> None:
        with pytest.raises(
            ConfigurationError, match="'inference' has 'second'; it can have seconds and seconds"
        ):
            read_limits({"inference": {"second": 5}})

    def test_no_mapping(self) -> None:
        with pytest.raises(ConfigurationError, match=r"must map stages to limits, .* found 5\.0"):
            read_limits(5.0)  # type: ignore[arg-type]

    @pytest.mark.parametrize("fraction", [-0.1, 1, 1.5, "0.1", float("nan"), True], ids=repr)
    def test_what_is_no_fraction(self, fraction: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"max_bad_fraction is .* from 0 to below 1"):
            Thresholds({}, max_bad_fraction=fraction)

    @pytest.mark.parametrize("count", [0, -3, 1.5], ids=repr)
    def test_what_is_no_number_of_records(self, count: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"min_items is .* at least 1"):
            Thresholds({}, min_items=count)
