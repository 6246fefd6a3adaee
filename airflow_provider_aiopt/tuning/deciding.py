"""What a search does next, and what follows from it; pure functions of trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from airflow_provider_aiopt.compare.planning import least_rounds
from airflow_provider_aiopt.tuning.models import Configuration, Finalist, Objective, Rounds, Trial

CLOSE = 0.10
"""How far a trial may be behind the best to be measured again: a trial's error is a few hundredths."""

CONFIRMING = 0.4
"""Part of the budget that measuring the best again may take."""

_ALIKE = 0.02
"""Relative difference of two gains that is no reason to change more of a spec."""

_SHORTER = (1.0, 0.7, 0.5)
"""Parts of a round's time that are enough where the budget is small."""

_LEAD_S = 0.1
"""Seconds that starting a pass over the sample takes, apart from its first batch."""

IMPROVEMENT = 0.01
"""The least relative gain that counts as one when it is judged whether a search goes on finding something."""


def is_better(value: float, than: float, objective: Objective, *, by: float = 0.0) -> bool:
    """Tell whether a value is better than another.

    :param value: the one
    :param than: the other
    :param objective: what is made better
    :param by: relative difference that there must be at least
    """
    return value > than * (1 + by) if objective == "throughput" else value < than / (1 + by)


def best_trial(trials: Sequence[Trial], objective: Objective) -> Trial | None:
    """Return the best of those that completed, None where none did.

    :param trials: in any order
    :param objective: what is made better
    """
    ranked = ranked_trials(trials, objective)
    return ranked[0] if ranked else None


def ranked_trials(trials: Sequence[Trial], objective: Objective) -> list[Trial]:
    """Return those that completed, the best first.

    :param trials: in any order
    :param objective: what is made better
    """
    complete = [
        (value, trial)
        for trial in trials
        if trial.outcome == "complete" and (value := trial.value(objective)) is not None
    ]
    complete.sort(key=lambda pair: pair[0], reverse=objective == "throughput")
    return [trial for _, trial in complete]


def best_so_far(trials: Sequence[Trial], objective: Objective) -> list[tuple[float, float]]:
    """Return the search's curve: when a trial ended, and the best value known then.

    It begins with the first trial that completed.

    :param trials: in their order
    :param objective: what is made better
    """
    curve: list[tuple[float, float]] = []
    for trial in trials:
        value = trial.value(objective)
        if trial.outcome == "complete" and value is not None:
            known = curve[-1][1] if curve else value
            curve.append((trial.ended_s, value if is_better(value, known, objective) else known))
        elif curve:
            curve.append((trial.ended_s, curve[-1][1]))
    return curve


def has_converged(trials: Sequence[Trial], objective: Objective, *, patience: int) -> bool:
    """Tell whether the last trials have found nothing that is better by :data:`IMPROVEMENT`.

    Trials that failed count: where all do, there is nothing more to be found, either.

    :param trials: in their order
    :param objective: what is made better
    :param patience: how many trials that takes
    """
    if len(trials) <= patience:
        return False
    before = best_trial(trials[:-patience], objective)
    after = best_trial(trials, objective)
    if before is None or after is None:
        return after is None
    old, new = before.value(objective), after.value(objective)
    return old is not None and new is not None and not is_better(new, old, objective, by=IMPROVEMENT)


def pick_finalists(trials: Sequence[Trial], objective: Objective, *, most: int) -> list[Trial]:
    """Return the trials to be measured again beside the baseline, the best first.

    These are the best that completed, those within :data:`CLOSE` of it, and none that is worse than the
    baseline was: the best of many measurements is in part the luckiest.

    :param trials: in their order, the baseline first
    :param objective: what is made better
    :param most: how many at most
    """
    baseline, *others = trials
    ranked = ranked_trials(others, objective)
    if not ranked:
        return []
    leader = ranked[0].value(objective)
    own = baseline.value(objective) if baseline.outcome == "complete" else None
    found = []
    for trial in ranked[:most]:
        value = trial.value(objective)
        assert value is not None and leader is not None  # noqa: PT018, S101 - ranked by it
        close = not is_better(leader, value, objective, by=CLOSE)
        if close and (own is None or is_better(value, own, objective)):
            found.append(trial)
    return found


def choose_winner(
    finalists: Sequence[Finalist], baseline: Configuration, *, baseline_fits: bool
) -> Finalist | None:
    """Return the finalist to change to, None where the spec had better stay as it is.

    It must be better than the baseline beyond doubt, see
    :func:`~airflow_provider_aiopt.compare.comparing.judge`, and nothing else may speak against it.  Where the
    baseline breaks a limit the best that keeps it wins whatever its gain.  Of those that gain alike the one
    that changes least wins.

    :param finalists: the best first
    :param baseline: the user's own configuration
    :param baseline_fits: whether the user's own settings keep the limits
    """
    fit = [item for item in finalists if item.refused is None]
    if not baseline_fits:
        return fit[0] if fit else None
    better = [item for item in fit if item.verdict == "better"]
    if not better:
        return None
    gain = abs(math.log(better[0].metric.ratio))
    alike = [item for item in better if gain - abs(math.log(item.metric.ratio)) <= math.log1p(_ALIKE)]
    return min(alike, key=lambda item: sum(item.configuration[key] != own for key, own in baseline.items()))


@dataclass(frozen=True, slots=True)
class Confirming:
    """How the best are measured again.

    :param finalists: how many
    :param rounds: how
    :param seconds: what that takes, as far as it can be known
    """

    finalists: int
    rounds: Rounds
    seconds: float


def plan_confirming(baseline: Trial, rounds: Rounds, *, most: int, budget_s: float | None) -> Confirming:
    """Return how to measure the best again, so that it takes at most :data:`CONFIRMING` of the budget.

    Fewer are measured again rather than each for a shorter time, and one is in any case.

    :param baseline: the first trial, by which the time is judged
    :param rounds: how it is done where there is time
    :param most: how many at most
    :param budget_s: seconds for the whole search; None for no limit
    """
    plans = [
        Confirming(count, shorter, confirming_s(baseline, shorter, count))
        for part in _SHORTER
        for count in range(most, 0, -1)
        for shorter in [replace(rounds, round_s=rounds.round_s * part)]
    ]
    if budget_s is None:
        return plans[0]
    return next((plan for plan in plans if plan.seconds <= CONFIRMING * budget_s), plans[-1])


def confirming_s(baseline: Trial, rounds: Rounds, finalists: int) -> float:
    """Return how long it takes to measure finalists again, judged by the baseline's trial.

    :param baseline: the first trial
    :param rounds: how they are measured
    :param finalists: how many
    """
    start = baseline.start_s or 0.0
    running = rounds.answers / baseline.items_per_s if baseline.items_per_s else 0.0
    lead = _LEAD_S + (baseline.p95_s or 0.0)  # until a round's first results
    count = max(rounds.rounds, least_rounds(rounds.settings, finalists))
    return (finalists + 1) * (start + running + count * (rounds.round_s + lead))
