"""What is asked of a comparison, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from airflow_provider_aiopt.exceptions import ComparisonError

Verdict = Literal["better", "worse", "equivalent", "inconclusive"]
"""Of a variant beside the baseline."""

MOST_ROUNDS = 1000
"""Where more would be needed, the answer is that no sensible number of rounds will do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """When two pipelines differ, and how sure one has to be.

    :param metric: the metric that is judged, see :mod:`~airflow_provider_aiopt.compare.metrics`
    :param threshold: largest relative difference that does not matter, 0.05 for 5 %
    :param effect: relative difference that is to be found where there is one; above *threshold*
    :param alpha: probability of a false "better" or "worse", all variants taken together
    :param power: probability with which a true difference of *effect* is to be found
    :param seed: of the resampling, so that the same runs always give the same answer
    :raises ComparisonError: if a number is out of range
    """

    metric: str = "wall"
    threshold: float = 0.05
    effect: float = 0.10
    alpha: float = 0.05
    power: float = 0.80
    seed: int = 0

    def __post_init__(self) -> None:  # noqa: D105 - the class's docstring names the error
        if not 0 < self.threshold < self.effect <= 1:
            raise ComparisonError(
                f"threshold is {self.threshold:g} and effect {self.effect:g}; they must lie above 0 and up "
                "to 1, the threshold below the effect: what does not matter cannot be what has to be found"
            )
        if not (0 < self.alpha <= 0.5 and 0.5 <= self.power < 1):  # noqa: PLR2004 - what is no error rate
            raise ComparisonError(
                f"alpha is {self.alpha:g} and power {self.power:g}; alpha must lie above 0 and up to 0.5, "
                "power from 0.5 to below 1"
            )


def read_settings(values: Mapping[str, Any]) -> Settings:
    """Read settings whose numbers may be text, as templates give them.

    :param values: by name of the parameters of :class:`Settings`; what is left out has its default
    :raises ComparisonError: naming what is wrong
    """
    known = asdict(Settings())
    if unknown := sorted(set(values) - set(known)):
        raise ComparisonError(f"settings has {', '.join(unknown)}; it may have {', '.join(known)}")
    try:
        return Settings(**{name: type(known[name])(value) for name, value in values.items()})
    except (TypeError, ValueError) as error:
        raise ComparisonError(f"settings: {error}") from error


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MetricComparison(_Answer):
    """One metric of a variant beside the baseline's.

    Ratios are the variant's value over the baseline's; intervals have the confidence ``1 - alpha``.

    :param metric: its name
    :param unit: ``s`` or ``1/s``
    :param lower_is_better: whether less of it is better
    :param rounds: how many values there are of each; of the smaller set where they are not paired
    :param baseline_median: median of the baseline's values
    :param variant_median: median of the variant's values
    :param ratio: ratio of the medians, the level of each round taken out where the runs are paired
    :param low: lower end of its interval
    :param high: upper end of its interval
    :param standard_error: bootstrap standard error of ``log(ratio)``
    :param p95_ratio: ratio of the 95th percentiles over the runs
    :param p95_low: lower end of its interval
    :param p95_high: upper end of its interval
    :param p_value: two-sided, of the rank test: Wilcoxon's signed ranks where the runs are paired, else
        Mann-Whitney's
    :param mann_whitney_p: two-sided, of Mann-Whitney's test on the values as they are
    """

    metric: str
    unit: str
    lower_is_better: bool
    rounds: int
    baseline_median: float
    variant_median: float
    ratio: float
    low: float
    high: float
    standard_error: float
    p95_ratio: float
    p95_low: float
    p95_high: float
    p_value: float
    mann_whitney_p: float


class Agreement(_Answer):
    """Whether a variant answers what the baseline answers.

    :param balanced: whether in every run records in = results + quarantined
    :param records: records that have a result of at least one of the two
    :param shared: the part of ``records`` that has a result of both
    :param same: the part of ``shared`` with the same answer: the same label, or equal vectors within a
        relative tolerance of 1e-3 of the longer one's length
    :param quarantined: how many records the baseline and the variant quarantined
    """

    balanced: bool
    records: int
    shared: int
    same: int
    quarantined: tuple[int, int]

    @property
    def share(self) -> float:
        """The share of the records that both answered alike, 0 to 1; 1 where there is none."""
        return self.same / self.records if self.records else 1.0


class VariantComparison(_Answer):
    """A variant beside the baseline.

    :param name: the variant
    :param verdict: of the judged metric
    :param adjusted_p: its p-value after Holm's adjustment for several variants
    :param rounds_needed: where the verdict is ``inconclusive``, the rounds in all that are likely to end it;
        None where it is not, or where more than :data:`MOST_ROUNDS` would be needed
    :param metrics: the judged metric first; the others are to look at and are not judged
    :param agreement: of the results; None where they were not to be had
    """

    name: str
    verdict: Verdict
    adjusted_p: float
    rounds_needed: int | None
    metrics: tuple[MetricComparison, ...]
    agreement: Agreement | None = None

    @property
    def judged(self) -> MetricComparison:
        """The metric that the verdict is about."""
        return self.metrics[0]


class Comparison(_Answer):
    """Variants beside a baseline.

    :param baseline: name of the baseline
    :param metric: the metric that is judged
    :param threshold: as in :class:`Settings`
    :param effect: as in :class:`Settings`
    :param alpha: as in :class:`Settings`
    :param power: as in :class:`Settings`
    :param paired: whether the runs came in rounds, so that each round is compared within itself
    :param variants: the others, in the order in which they were given
    """

    schema_version: Literal[1] = 1
    baseline: str
    metric: str
    threshold: float
    effect: float
    alpha: float
    power: float
    paired: bool
    variants: tuple[VariantComparison, ...]
