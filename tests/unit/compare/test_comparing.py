from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from airflow_provider_aiopt.compare.comparing import (
    compare_runs,
    judge,
    overall,
    recommended_rounds,
    winner,
)
from airflow_provider_aiopt.compare.models import Comparison, Settings
from airflow_provider_aiopt.compare.statistics import Ratio
from airflow_provider_aiopt.exceptions import ComparisonError
from airflow_provider_aiopt.telemetry.reports import RunReport

MakeRun = Callable[..., RunReport]
SETTINGS = Settings(metric="inference")


def runs(
    make_run: MakeRun, rounds: int = 10, noise: float = 0.02, **factors: float
) -> dict[str, list[RunReport]]:
    chooser = random.Random(3)
    return {
        name: [make_run(factor * math.exp(chooser.gauss(0, noise))) for _ in range(rounds)]
        for name, factor in {"base": 1.0, **factors}.items()
    }


def compared(
    make_run: MakeRun, settings: Settings = SETTINGS, rounds: int = 10, **factors: float
) -> Comparison:
    return compare_runs(runs(make_run, rounds, **factors), settings, paired=True)


@pytest.mark.parametrize(
    ("low", "ratio", "high", "p", "verdict"),
    [
        (0.80, 0.85, 0.90, 0.01, "better"),
        (1.10, 1.15, 1.20, 0.01, "worse"),
        (0.97, 1.00, 1.04, 0.50, "equivalent"),
        (1.01, 1.02, 1.04, 0.01, "equivalent"),  # a difference, and none that matters
        (0.80, 0.85, 0.90, 0.06, "inconclusive"),  # the test does not agree
        (0.80, 0.90, 1.01, 0.01, "inconclusive"),  # the interval does not
        (1.01, 1.04, 1.08, 0.01, "inconclusive"),  # perhaps one that matters
        (0.80, 1.00, 1.20, 0.90, "inconclusive"),
    ],
)
def test_a_verdict(low: float, ratio: float, high: float, p: float, verdict: str) -> None:
    assert judge(Ratio(ratio, low, high, 0.01), p, SETTINGS) == verdict


def test_more_of_what_is_good_is_better() -> None:
    assert judge(Ratio(1.2, 1.1, 1.3, 0.01), 0.01, SETTINGS, lower_is_better=False) == "better"


class TestRuns:
    @pytest.mark.parametrize(
        ("factor", "verdict"), [(0.8, "better"), (1.25, "worse"), (1.0, "equivalent"), (1.05, "inconclusive")]
    )
    def test_times(self, make_run: MakeRun, factor: float, verdict: str) -> None:
        (variant,) = compared(make_run, b=factor).variants
        assert variant.verdict == verdict
        assert (variant.rounds_needed is not None) or verdict != "inconclusive" or factor == 1.05
        assert variant.judged.low < factor < variant.judged.high

    def test_a_rate_is_better_where_it_is_higher(self, make_run: MakeRun) -> None:
        (variant,) = compared(make_run, Settings(metric="inference.items_per_s"), b=0.8).variants
        assert (variant.verdict, variant.judged.unit) == ("better", "1/s")
        assert variant.judged.ratio > 1

    def test_the_judged_metric_comes_first_and_the_others_are_there_to_look_at(
        self, make_run: MakeRun
    ) -> None:
        (variant,) = compared(make_run, b=0.8).variants
        names = [metric.metric for metric in variant.metrics]
        assert names[0] == "inference"
        assert {"wall", "items_per_s", "preprocess", "postprocess.busy"} < set(names)
        others = {metric.metric: metric.ratio for metric in variant.metrics}
        assert others["ingest"] == pytest.approx(1)

    def test_several_variants_share_the_error(self, make_run: MakeRun) -> None:
        alone = compared(make_run, b=0.8).variants[0]
        three = compared(make_run, b=0.8, c=0.9, d=1.0)
        assert alone.adjusted_p == alone.judged.p_value
        assert three.variants[0].adjusted_p == pytest.approx(3 * three.variants[0].judged.p_value)
        assert [variant.verdict for variant in three.variants] == ["better", "better", "equivalent"]
        assert (overall(three), winner(three)) == ("better", "b")

    @pytest.mark.parametrize(
        ("factors", "verdict", "best"),
        [
            ({"b": 0.8, "c": 1.3}, "worse", "b"),
            ({"b": 1.0}, "equivalent", "base"),
            ({"b": 0.8, "c": 1.05}, "inconclusive", "b"),
        ],
    )
    def test_the_verdict_on_all(
        self, make_run: MakeRun, factors: dict[str, float], verdict: str, best: str
    ) -> None:
        found = compared(make_run, **factors)
        assert (overall(found), winner(found)) == (verdict, best)

    def test_too_few_rounds_are_inconclusive_and_say_how_many(self, make_run: MakeRun) -> None:
        (variant,) = compared(make_run, rounds=5, b=0.5).variants
        assert (variant.verdict, variant.rounds_needed) == ("inconclusive", 6)

    def test_unpaired_runs_may_be_of_different_number(self, make_run: MakeRun) -> None:
        groups = runs(make_run, 10, b=0.8)
        groups["b"] = groups["b"][:7]
        found = compare_runs(groups, SETTINGS, paired=False)
        assert found.variants[0].verdict == "better"
        assert found.variants[0].judged.p_value == found.variants[0].judged.mann_whitney_p

    def test_it_survives_json(self, make_run: MakeRun) -> None:
        found = compared(make_run, b=1.05)
        assert Comparison.model_validate_json(found.model_dump_json()) == found

    def test_one_set_is_no_comparison(self, make_run: MakeRun) -> None:
        with pytest.raises(ComparisonError, match="only one set of runs"):
            compared(make_run)

    def test_a_metric_that_is_not_there(self, make_run: MakeRun) -> None:
        with pytest.raises(
            ComparisonError, match=r"metric 'shard_p95'.*all have are: wall, items_per_s, ingest"
        ):
            compared(make_run, Settings(metric="shard_p95"), b=1.0)


def test_a_pilot_says_how_many_rounds_are_needed(make_run: MakeRun) -> None:
    quiet = recommended_rounds(runs(make_run, 8, b=1.0), SETTINGS)
    noisy = recommended_rounds(runs(make_run, 8, 0.1, b=1.0), SETTINGS)
    assert quiet == 6
    assert noisy is not None
    assert noisy > 20
    assert recommended_rounds(runs(make_run, 8, 5.0, b=1.0), SETTINGS) is None
