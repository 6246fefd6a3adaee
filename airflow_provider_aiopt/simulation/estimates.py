"""Numbers over repeated simulations, with what they may be off by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, mean, stdev

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """The mean over repetitions, with its confidence interval.

    :param mean: of all repetitions
    :param low: the lower end of the 95 % interval
    :param high: the upper end
    """

    mean: float
    low: float
    high: float


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of independent values with Student's interval for it.

    One value, or an infinite one, has no interval: both ends are then the mean.

    :param values: one or more
    """
    centre = math.inf if math.inf in values else mean(values)
    if len(values) == 1 or math.isinf(centre):
        return Estimate(centre, centre, centre)
    half = student(CONFIDENCE, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Estimate(centre, centre - half, centre + half)


def student(confidence: float, degrees: int) -> float:
    """Return the two-sided quantile of Student's t.

    Exact for one and two degrees of freedom; from three on the expansion 26.7.5 of Abramowitz and Stegun,
    *Handbook of Mathematical Functions* (1964), which is within 1 % there.

    :param confidence: for example 0.95
    :param degrees: degrees of freedom
    """
    tail = (1 + confidence) / 2
    if degrees == 1:
        return math.tan(math.pi * (tail - 0.5))
    if degrees == 2:  # noqa: PLR2004 - has a closed form
        return (2 * tail - 1) * math.sqrt(2 / (4 * tail * (1 - tail)))
    z = NormalDist().inv_cdf(tail)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + math.fsum(term / degrees**power for power, term in enumerate(terms, start=1))


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least *share* of *values* do not exceed; 0 where there are none.

    :param values: any numbers
    :param share: above 0, at most 1
    """
    if not values:
        return 0.0
    return sorted(values)[rank(len(values), share)]


def rank(count: int, share: float) -> int:
    """Return the position of a quantile among so many sorted values.

    :param count: 1 or more
    :param share: above 0, at most 1
    """
    return max(0, math.ceil(share * count) - 1)
