from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.compare.models import MetricComparison
from airflow_provider_aiopt.tuning.deciding import (
    best_so_far,
    best_trial,
    choose_winner,
    has_converged,
    pick_finalists,
    plan_confirming,
)
from airflow_provider_aiopt.tuning.models import Finalist, Rounds, Trial

Make = Callable[..., Trial]


def trial_of(number: int, rate: float | None) -> Trial:
    return Trial(
        number=number,
        origin="search",
        configuration={},
        outcome="failed" if rate is None else "complete",
        items_per_s=rate,
        p95_s=rate and 1 / rate,
        seconds=1.0,
        ended_s=float(number),
    )


def finalist(trial: int, verdict: str, refused: str | None = None) -> Finalist:
    metric = MetricComparison(
        metric="items_per_s",
        unit="1/s",
        lower_is_better=False,
        rounds=8,
        baseline_median=100,
        variant_median=150,
        ratio=1.5,
        low=1.4,
        high=1.6,
        standard_error=0.02,
        p95_ratio=1.5,
        p95_low=1.4,
        p95_high=1.6,
        p_value=0.01,
        mann_whitney_p=0.01,
    )
    return Finalist(
        trial=trial, configuration={}, verdict=verdict, adjusted_p=0.01, metric=metric, refused=refused
    )


@given(rates=st.lists(st.none() | st.floats(1, 1000), min_size=1, max_size=20))
def test_the_curve_never_gets_worse_and_ends_at_the_best(rates: list[float | None]) -> None:
    trials = [trial_of(number, rate) for number, rate in enumerate(rates)]
    for objective, pick in (("throughput", max), ("latency", min)):
        curve = best_so_far(trials, objective)
        values = [value for _, value in curve]
        assert values == sorted(values, reverse=objective == "latency")
        known = [trial.value(objective) for trial in trials if trial.outcome == "complete"]
        assert (values[-1] if values else None) == (pick(known) if known else None)


def test_only_what_completed_can_be_the_best(make_trial: Make) -> None:
    trials = [
        make_trial(0, 100),
        make_trial(1, 300, outcome="infeasible"),
        make_trial(2, 200, outcome="pruned"),
        make_trial(3, 110),
        make_trial(4),
    ]
    best = best_trial(trials, "throughput")
    assert best is not None
    assert best.number == 3
    assert best_trial(trials[1:3], "throughput") is None


def test_a_search_ends_where_the_last_trials_found_nothing(make_trial: Make) -> None:
    rates = [100, 150, 150.5, 120, 90, 151]
    trials = [make_trial(number, rate) for number, rate in enumerate(rates)]
    assert has_converged(trials, "throughput", patience=4)  # 151 is less than 1 % above 150
    assert not has_converged(trials, "throughput", patience=5)  # 150 came within these
    assert not has_converged(trials[:4], "throughput", patience=4)
    failing = [make_trial(0, 100), *(make_trial(number) for number in range(1, 6))]
    assert has_converged(failing, "throughput", patience=5)


def test_those_close_to_the_best_are_measured_again(make_trial: Make) -> None:
    rates = [100, 150, 148, 120, 149]
    trials = [make_trial(number, rate) for number, rate in enumerate(rates)]
    assert [trial.number for trial in pick_finalists(trials, "throughput", most=3)] == [1, 4, 2]
    assert [trial.number for trial in pick_finalists(trials, "throughput", most=5)] == [1, 4, 2]
    assert [trial.number for trial in pick_finalists(trials, "latency", most=1)] == [1]


def test_what_is_no_better_than_the_baseline_is_not_measured_again(make_trial: Make) -> None:
    trials = [make_trial(0, 100), make_trial(1, 95), make_trial(2)]
    assert pick_finalists(trials, "throughput", most=2) == []
    slow = [make_trial(0, 100, outcome="infeasible"), make_trial(1, 95)]
    assert [trial.number for trial in pick_finalists(slow, "throughput", most=2)] == [1]


def test_only_an_established_gain_is_a_winner() -> None:
    ranked = [
        finalist(3, "better", refused="wrong answers"),
        finalist(2, "inconclusive"),
        finalist(1, "better"),
    ]
    winner = choose_winner(ranked, {}, baseline_fits=True)
    assert winner is not None
    assert winner.trial == 1
    assert choose_winner(ranked[:2], {}, baseline_fits=True) is None
    assert choose_winner([], {}, baseline_fits=True) is None


@pytest.mark.parametrize(("ratio", "number"), [(1.49, 2), (1.4, 1)])
def test_of_two_that_gain_alike_the_one_that_changes_less_wins(ratio: float, number: int) -> None:
    baseline = {"execution.workers": 1, "model.threads": None}
    more = finalist(1, "better").model_copy(
        update={"configuration": {**baseline, "execution.workers": 2, "model.threads": 2}}
    )
    less = finalist(2, "better")
    less = less.model_copy(
        update={
            "configuration": {**baseline, "execution.workers": 2},
            "metric": less.metric.model_copy(update={"ratio": ratio}),
        }
    )
    winner = choose_winner([more, less], baseline, baseline_fits=True)
    assert winner is not None
    assert winner.trial == number


def test_where_the_baseline_breaks_a_limit_the_best_that_keeps_it_wins() -> None:
    ranked = [finalist(3, "better", refused="too much memory"), finalist(2, "worse")]
    winner = choose_winner(ranked, {}, baseline_fits=False)
    assert winner is not None
    assert winner.trial == 2


@pytest.mark.parametrize(
    ("budget_s", "count", "round_s"),
    [(None, 2, 1.0), (110.0, 2, 1.0), (100.0, 1, 1.0), (70.0, 1, 0.7), (1.0, 1, 0.5)],
)
def test_the_best_are_measured_again_for_as_long_as_the_budget_allows(
    make_trial: Make, budget_s: float | None, count: int, round_s: float
) -> None:
    baseline = make_trial(0, 64, start_s=2.0, p95_s=0.3)
    plan = plan_confirming(baseline, Rounds(), most=2, budget_s=budget_s)
    assert (plan.finalists, plan.rounds.round_s) == (count, round_s)
    # The start, a second for 64 answers, and eight rounds with a lead of 0.4 s each.
    assert plan.seconds == pytest.approx((count + 1) * (2 + 1 + 8 * (round_s + 0.4)))
