"""From runs to a verdict; pure functions of run reports."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

from airflow_provider_aiopt.compare.metrics import common_metrics, metric_named, run_metrics
from airflow_provider_aiopt.compare.models import (
    Agreement,
    Comparison,
    MetricComparison,
    Settings,
    VariantComparison,
    Verdict,
)
from airflow_provider_aiopt.compare.planning import rounds_to_end, rounds_to_find
from airflow_provider_aiopt.compare.statistics import Ratio, Samples, holm, mann_whitney, rank_test, ratio
from airflow_provider_aiopt.exceptions import ComparisonError
from airflow_provider_aiopt.telemetry.reports import RunReport


def compare_runs(
    runs: Mapping[str, Sequence[RunReport]],
    settings: Settings,
    *,
    paired: bool,
    agreements: Mapping[str, Agreement] | None = None,
) -> Comparison:
    """Compare sets of runs, the first of which is the baseline.

    :param runs: the runs of each pipeline, by its name; in the order of the rounds where *paired*
    :param settings: what is judged, and how
    :param paired: whether the runs at the same place come from one round
    :param agreements: whether results agree, by variant
    :raises ComparisonError: if there is nothing to compare, or if a run lacks the metric
    :raises MissingExtraError: if scipy is not installed
    """
    baseline, *names = runs
    if not names:
        raise ComparisonError("There is only one set of runs; a comparison needs a baseline and a variant")
    values = {name: [run_metrics(run) for run in group] for name, group in runs.items()}
    metrics = common_metrics([run for group in values.values() for run in group], settings.metric)
    samples = {
        name: [_samples(metric, values[baseline], values[name], paired) for metric in metrics]
        for name in names
    }
    compared = {
        name: tuple(
            compare_metric(metric, item, settings) for metric, item in zip(metrics, items, strict=True)
        )
        for name, items in samples.items()
    }
    adjusted = holm([compared[name][0].p_value for name in names])
    return Comparison(
        baseline=baseline,
        metric=settings.metric,
        threshold=settings.threshold,
        effect=settings.effect,
        alpha=settings.alpha,
        power=settings.power,
        paired=paired,
        variants=tuple(
            _judged(
                VariantComparison(
                    name=name,
                    verdict="inconclusive",
                    adjusted_p=adjusted_p,
                    rounds_needed=None,
                    metrics=compared[name],
                    agreement=(agreements or {}).get(name),
                ),
                samples[name][0],
                settings,
                len(names),
            )
            for name, adjusted_p in zip(names, adjusted, strict=True)
        ),
    )


def compare_metric(name: str, samples: Samples, settings: Settings) -> MetricComparison:
    """Compare the values of one metric.

    :param name: the metric
    :param samples: its values
    :param settings: with the error that is allowed, and the seed
    :raises MissingExtraError: if scipy is not installed
    """
    metric, confidence = metric_named(name), 1 - settings.alpha
    middle = ratio(samples, "median", confidence=confidence, seed=settings.seed)
    tail = ratio(samples, "p95", confidence=confidence, seed=settings.seed)
    return MetricComparison(
        metric=name,
        unit=metric.unit,
        lower_is_better=metric.lower_is_better,
        rounds=samples.rounds,
        baseline_median=median(samples.baseline),
        variant_median=median(samples.variant),
        ratio=middle.ratio,
        low=middle.low,
        high=middle.high,
        standard_error=middle.standard_error,
        p95_ratio=tail.ratio,
        p95_low=tail.low,
        p95_high=tail.high,
        p_value=rank_test(samples),
        mann_whitney_p=mann_whitney(samples),
    )


def judge(found: Ratio, adjusted_p: float, settings: Settings, *, lower_is_better: bool = True) -> Verdict:
    """Return the verdict on the ratio of a metric.

    * ``better`` or ``worse``: the rank test rejects "no difference", the interval does not hold 1, and the
      estimate is beyond the threshold.
    * ``equivalent``: the whole interval is within ``1 / (1 + threshold)`` to ``1 + threshold``.
    * ``inconclusive``: neither; the runs vary too much for their number.

    :param found: the ratio of the medians
    :param adjusted_p: p-value of the rank test, adjusted for the number of variants
    :param settings: with error and threshold
    :param lower_is_better: whether less of the metric is better
    """
    margin = math.log1p(settings.threshold)
    low, estimate, high = (math.log(value) for value in (found.low, found.ratio, found.high))
    if -margin <= low and high <= margin:
        return "equivalent"
    if adjusted_p <= settings.alpha and not low <= 0 <= high and abs(estimate) > margin:
        return "better" if (estimate < 0) == lower_is_better else "worse"
    return "inconclusive"


def recommended_rounds(runs: Mapping[str, Sequence[RunReport]], settings: Settings) -> int | None:
    """Return how many rounds are likely to find a difference of ``settings.effect``, judged by a pilot.

    It looks at how much the runs vary and not at which is faster, so that going on to as many rounds as it
    says takes nothing from the verdict's error rate.

    :param runs: the pilot's runs by name, the baseline first, in the order of the rounds
    :param settings: what has to be found
    :returns: the most that a variant needs; None for more than
        :data:`~airflow_provider_aiopt.compare.models.MOST_ROUNDS`
    """
    values = {name: [run_metrics(run) for run in group] for name, group in runs.items()}
    common_metrics([run for group in values.values() for run in group], settings.metric)
    baseline, *names = values
    needed = [
        rounds_for(_samples(settings.metric, values[baseline], values[name], True), settings, len(names))
        for name in names
    ]
    return None if None in needed else max(item for item in needed if item is not None)


def rounds_for(pilot: Samples, settings: Settings, variants: int = 1) -> int | None:
    """Return how many rounds a pilot's values ask for, see :func:`recommended_rounds`.

    :param pilot: its values
    :param settings: what has to be found
    :param variants: how many are compared with the baseline
    """
    found = ratio(pilot, confidence=1 - settings.alpha, seed=settings.seed)
    return rounds_to_find(pilot, found, settings, variants)


def overall(comparison: Comparison) -> Verdict:
    """Return the verdict on all variants: ``worse`` if one is, else ``inconclusive`` if one is.

    Else it is ``better`` if one is, and ``equivalent`` if all are.

    :param comparison: what was found
    """
    found = {variant.verdict for variant in comparison.variants}
    order: tuple[Verdict, ...] = ("worse", "inconclusive", "better", "equivalent")
    return next(verdict for verdict in order if verdict in found)


def decision(comparison: Comparison) -> Verdict:
    """Return the verdict by which to go on: ``better`` if any variant is.

    Else it is ``inconclusive`` if one is, ``equivalent`` if one is, and ``worse`` if all are.

    :param comparison: what was found
    """
    found = {variant.verdict for variant in comparison.variants}
    order: tuple[Verdict, ...] = ("better", "inconclusive", "equivalent", "worse")
    return next(verdict for verdict in order if verdict in found)


def winner(comparison: Comparison) -> str:
    """Return the name of the pipeline to go on with.

    That is the best of the variants that are better than the baseline, and the baseline where none is: what
    is equivalent is no reason to change.

    :param comparison: what was found
    """
    better = [variant for variant in comparison.variants if variant.verdict == "better"]
    if not better:
        return comparison.baseline
    return max(better, key=lambda variant: abs(math.log(variant.judged.ratio))).name


def _samples(
    metric: str,
    baseline: Sequence[Mapping[str, float]],
    variant: Sequence[Mapping[str, float]],
    paired: bool,
) -> Samples:
    first, second = (tuple(run[metric] for run in group) for group in (baseline, variant))
    return Samples(first, second, paired)


def _judged(
    variant: VariantComparison, samples: Samples, settings: Settings, variants: int
) -> VariantComparison:
    """Return *variant* with its verdict and, where that is none, the rounds that are needed."""
    judged = variant.judged
    found = Ratio(judged.ratio, judged.low, judged.high, judged.standard_error)
    verdict = judge(found, variant.adjusted_p, settings, lower_is_better=judged.lower_is_better)
    needed = rounds_to_end(samples, found, settings, variants) if verdict == "inconclusive" else None
    return variant.model_copy(update={"verdict": verdict, "rounds_needed": needed})
