"""How two sets of runs compare, as numbers: a ratio, its interval, a rank test; pure functions.

All work on logarithms: run times are positive and skewed to the right, and what differs between two pipelines
is a factor.  Sources: Efron and Tibshirani, *An Introduction to the Bootstrap* (1993), chapters 8 and 13, for
resampling pairs and for percentile intervals; Wilcoxon (1945) and Mann and Whitney (1947) for the tests.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_aiopt.exceptions import ComparisonError, MissingExtraError

Statistic = Literal["median", "p95"]

RESAMPLES = 2000
"""Of the bootstrap: the ends of a 95 % interval are then the 50th of each side."""

LEAST_VALUES = 2


@dataclass(frozen=True, slots=True)
class Samples:
    """The values of one metric in two sets of runs.

    :param baseline: positive numbers
    :param variant: positive numbers, as many as *baseline* where *paired*
    :param paired: whether the values at the same place come from one round
    :raises ComparisonError: if there are fewer than two of a set, if they do not pair up, or if one is not
        positive
    """

    baseline: tuple[float, ...]
    variant: tuple[float, ...]
    paired: bool

    def __post_init__(self) -> None:  # noqa: D105 - the class's docstring names the error
        counts = len(self.baseline), len(self.variant)
        if min(counts) < LEAST_VALUES:
            raise ComparisonError(
                f"There are {counts[0]} runs of the baseline and {counts[1]} of the variant; "
                f"a comparison needs at least {LEAST_VALUES} of each"
            )
        if self.paired and counts[0] != counts[1]:
            raise ComparisonError(
                f"There are {counts[0]} runs of the baseline and {counts[1]} of the variant; "
                "runs are paired by round only where there are as many of each"
            )
        wrong = [value for value in self.baseline + self.variant if not 0 < value < math.inf]
        if wrong:
            raise ComparisonError(
                f"A comparison of ratios needs positive, finite values; among these is {wrong[0]:g}"
            )

    @property
    def rounds(self) -> int:
        """Runs of the smaller set."""
        return min(len(self.baseline), len(self.variant))


@dataclass(frozen=True, slots=True)
class Ratio:
    """The variant's value over the baseline's.

    :param ratio: the estimate
    :param low: lower end of its interval
    :param high: upper end of its interval
    :param standard_error: bootstrap standard error of ``log(ratio)``
    """

    ratio: float
    low: float
    high: float
    standard_error: float


def ratio(samples: Samples, statistic: Statistic = "median", *, confidence: float, seed: int) -> Ratio:
    """Estimate the ratio of two medians or 95th percentiles.

    Paired values are resampled by rounds.  For the median the level of each round, the geometric mean of its
    two runs, is divided out first: what slows a whole round is no difference between the two.  The median of
    what is left of the variant, over that of the baseline, is the median of the rounds' own ratios.

    :param samples: the values
    :param statistic: what is compared
    :param confidence: of the percentile interval, 0 to 1
    :param seed: of the resampling
    :raises MissingExtraError: if scipy is not installed
    """
    import numpy as np

    stats = _scipy_stats()
    baseline, variant = np.log(samples.baseline), np.log(samples.variant)
    data: tuple[Any, ...]
    of: Callable[..., Any]
    if statistic == "median" and samples.paired:
        data, of = (variant - baseline,), _median
    else:
        data, of = (baseline, variant), _median_difference if statistic == "median" else _p95_difference
    estimate = float(of(*data, axis=-1))
    if all(np.ptp(item) == 0 for item in data):  # nothing varies: resampling has nothing to say
        return Ratio(float(np.exp(estimate)), float(np.exp(estimate)), float(np.exp(estimate)), 0.0)
    found = stats.bootstrap(
        data,
        of,
        paired=samples.paired and len(data) > 1,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    middle, low, high = (float(np.exp(value)) for value in (estimate, *found.confidence_interval))
    return Ratio(middle, low, high, float(found.standard_error))


def rank_test(samples: Samples) -> float:
    """Return the two-sided p-value of there being no difference.

    For independent runs this is Mann and Whitney's test.  For paired ones it is Wilcoxon's signed-rank test
    of the rounds' ratios: it counts the pairs that Mann and Whitney's would count once the level of each
    round is divided out, and its distribution holds whatever happened between the rounds.

    :param samples: the values
    :raises MissingExtraError: if scipy is not installed
    """
    import numpy as np

    if not samples.paired:
        return mann_whitney(samples)
    differences = np.log(samples.variant) - np.log(samples.baseline)
    if not differences.any():
        return 1.0
    with warnings.catch_warnings():
        # Of ratios that are all but equal, for which it takes the normal approximation.
        warnings.simplefilter("ignore", UserWarning)
        return float(_scipy_stats().wilcoxon(differences).pvalue)


def mann_whitney(samples: Samples) -> float:
    """Return the two-sided p-value of Mann and Whitney's test on the values as they are.

    :param samples: the values
    :raises MissingExtraError: if scipy is not installed
    """
    return float(_scipy_stats().mannwhitneyu(samples.baseline, samples.variant).pvalue)


@dataclass(frozen=True, slots=True)
class RankEffect:
    """What a rank test would see of a difference, of values that vary as these do.

    :param share: of the pairs that it counts, those in which the variant's value is larger; 0.5 for none
    :param null_variance: of *share* for one round, were there no difference
    :param variance: of *share* for one round, with the difference
    """

    share: float
    null_variance: float
    variance: float


def rank_effect(samples: Samples, distance: float) -> RankEffect:
    """Return how a rank test would see a difference, by moving the variant's values.

    The variances are those of the U-statistics that the tests are, by their first projection: Lehmann,
    *Nonparametrics* (1975), sections 2.3 and 4.2.

    :param samples: values whose variation is meant, whatever their own difference
    :param distance: the difference, of the logarithms; negative where the variant's values are smaller
    """
    import numpy as np

    baseline, variant = np.log(samples.baseline), np.log(samples.variant)
    if samples.paired:
        ratios = variant - baseline
        moved = ratios - np.median(ratios) + distance
        wins = _wins(moved[:, None] + moved[None, :])
        np.fill_diagonal(wins, 0)
        own = wins.sum(axis=1) / (len(moved) - 1)
        return RankEffect(float(own.mean()), 1 / 3, 4 * float(own.var()))
    wins = _wins(
        (variant - np.median(variant) + distance)[:, None] - (baseline - np.median(baseline))[None, :]
    )
    variance = float(wins.mean(axis=0).var() + wins.mean(axis=1).var())
    return RankEffect(float(wins.mean()), 1 / 6, variance)


def _wins(differences: Any) -> Any:
    """Return 1 where a difference is above zero, and a half where it is zero."""
    return (differences > 0) + 0.5 * (differences == 0)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust *p_values* so that comparing each with alpha errs in any of them with probability alpha at most.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979).

    :param p_values: of several tests
    :returns: the adjusted ones, in the same order
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - rank)))
        adjusted[place] = largest
    return tuple(adjusted)


def _scipy_stats() -> Any:
    try:
        from scipy import stats
    except ImportError as error:
        raise MissingExtraError("scipy", "compare", "Comparing runs") from error
    return stats


def _median(values: Any, *, axis: int) -> Any:
    import numpy as np

    return np.median(values, axis=axis)


def _median_difference(baseline: Any, variant: Any, *, axis: int) -> Any:
    import numpy as np

    return np.median(variant, axis=axis) - np.median(baseline, axis=axis)


def _p95_difference(baseline: Any, variant: Any, *, axis: int) -> Any:
    import numpy as np

    return np.quantile(variant, 0.95, axis=axis) - np.quantile(baseline, 0.95, axis=axis)
