"""How many rounds a comparison needs, and in which order their runs come; pure functions."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Callable, Sequence
from statistics import NormalDist

from airflow_provider_aiopt.compare.models import MOST_ROUNDS, Settings
from airflow_provider_aiopt.compare.statistics import Ratio, Samples, rank_effect

PILOT_ROUNDS = 8
"""Rounds that tell how much the runs vary, before it is said how many are needed."""

_PILOT_CONFIDENCE = 0.8
_NORMAL = NormalDist()


def run_order(names: Sequence[str], rounds: int, *, seed: int) -> tuple[tuple[str, ...], ...]:
    """Return the order of the runs in each round.

    Every two rounds are a random order and its reverse (ABBA, or BAAB): what grows or falls steadily over the
    session weighs alike on all, and nothing periodic keeps step with one of them.

    :param names: what is run once in each round
    :param rounds: how many rounds
    :param seed: of the orders
    """
    chooser = random.Random(seed)  # noqa: S311 - an order, no secret
    orders: list[tuple[str, ...]] = []
    while len(orders) < rounds:
        order = tuple(chooser.sample(names, k=len(names)))
        orders += [order, order[::-1]]
    return tuple(orders[:rounds])


def least_rounds(settings: Settings, variants: int = 1) -> int:
    """Return the rounds below which no difference can be told, however large.

    Of *n* paired runs the signed-rank test's least p-value is ``2 / 2**n``.

    :param settings: with the error that is allowed
    :param variants: how many are compared with the baseline
    """
    return math.ceil(1 + math.log2(max(1, variants) / settings.alpha))


def next_rounds(done: int, needed: int | None, most: int) -> int:
    """Return how many rounds to go on to, of a comparison that chooses their number by itself.

    A few rounds say little about how many are needed: where that is many, they are doubled and asked again.

    :param done: rounds that have been run
    :param needed: what they say; None for more than makes sense
    :param most: rounds that are allowed
    :returns: *done* where they are enough, or where no more are allowed
    """
    return max(done, min(most, 2 * done, most if needed is None else needed))


def rounds_to_find(samples: Samples, found: Ratio, settings: Settings, variants: int = 1) -> int | None:
    """Return the rounds in which a true difference of ``settings.effect`` is found with ``settings.power``.

    :param samples: what has been run: it tells how much runs vary, not which is faster
    :param found: the ratio of their medians
    :param settings: what has to be found
    :param variants: how many are compared with the baseline
    :returns: None where they would be more than
        :data:`~airflow_provider_aiopt.compare.models.MOST_ROUNDS`
    """
    return _rounds_to_tell(math.log1p(settings.effect), samples, found, settings, variants)


def rounds_to_end(samples: Samples, found: Ratio, settings: Settings, variants: int = 1) -> int | None:
    """Return the rounds in all that are likely to end an inconclusive comparison.

    Likely means with ``settings.power``, if the true ratio is the one that was found: to tell the difference
    where it is above the threshold, to exclude one where it is below.

    :param samples: what has been run
    :param found: the ratio of their medians
    :param settings: with threshold, error and power
    :param variants: how many are compared with the baseline
    :returns: more than have been run; None for more than
        :data:`~airflow_provider_aiopt.compare.models.MOST_ROUNDS`, as where the ratio is all but the
        threshold
    """
    distance = abs(math.log(found.ratio))
    if distance > math.log1p(settings.threshold):
        needed = _rounds_to_tell(distance, samples, found, settings, variants)
    else:
        needed = _rounds_to_exclude(distance, samples, found, settings)
    return None if needed is None else max(needed, samples.rounds + 1)


def _rounds_to_tell(
    distance: float, samples: Samples, found: Ratio, settings: Settings, variants: int
) -> int | None:
    """Return how many rounds tell *distance*, of the logarithms, from nothing and from the threshold.

    A verdict takes the interval and the rank test: the power is that of the weaker one, and of the direction
    that is harder to tell.
    """
    margin, scale = math.log1p(settings.threshold), _cautious_scale(found.standard_error, samples.rounds)
    ranks = [rank_effect(samples, distance), rank_effect(samples, -distance)]
    critical = _critical(settings.alpha)
    # Holm's first step is Bonferroni's: a plan has to pass it.
    of_ranks = _critical(settings.alpha / variants)

    def power(rounds: int) -> float:
        error = scale / math.sqrt(rounds)
        return min(
            _above(distance - max(critical * error, margin), error),
            *(
                _above(
                    abs(effect.share - 0.5) - of_ranks * math.sqrt(effect.null_variance / rounds),
                    math.sqrt(effect.variance / rounds),
                )
                for effect in ranks
            ),
        )

    return _fewest(power, settings, least_rounds(settings, variants))


def _rounds_to_exclude(distance: float, samples: Samples, found: Ratio, settings: Settings) -> int | None:
    """Return how many rounds bring the interval within the threshold, the true distance being *distance*."""
    margin, scale = math.log1p(settings.threshold), _cautious_scale(found.standard_error, samples.rounds)
    critical = _critical(settings.alpha)

    def power(rounds: int) -> float:
        error = scale / math.sqrt(rounds)
        room = margin - critical * error
        return _above(room - distance, error) + _above(room + distance, error) - 1 if room > 0 else 0.0

    return _fewest(power, settings, least_rounds(settings))


def _fewest(power: Callable[[int], float], settings: Settings, least: int) -> int | None:
    candidates = range(least, MOST_ROUNDS + 1)  # the power grows with the rounds
    place = bisect_left(candidates, settings.power, key=power)
    return candidates[place] if place < len(candidates) else None


def _critical(alpha: float) -> float:
    """Return how many standard errors a two-sided test of this error takes."""
    return _NORMAL.inv_cdf(1 - alpha / 2)


def _above(distance: float, error: float) -> float:
    """Return the probability that what is estimated as *distance*, with this error, comes out above zero."""
    return _NORMAL.cdf(distance / error) if error else float(distance > 0)


def _cautious_scale(standard_error: float, rounds: int) -> float:
    """Return the standard error of one round, as an upper bound.

    A pilot of few rounds as often says too little as too much, and too little costs the power.  So it is the
    upper limit of a one-sided 80 % confidence interval, after Browne, "On the use of a pilot sample for
    sample size determination", Statistics in Medicine 14 (1995).
    """
    degrees = rounds - 1
    return standard_error * math.sqrt(rounds * degrees / _chi_square_quantile(1 - _PILOT_CONFIDENCE, degrees))


def _chi_square_quantile(probability: float, degrees: int) -> float:
    from scipy.stats import chi2

    return float(chi2.ppf(probability, degrees))
