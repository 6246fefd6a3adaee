"""PromQL over the metrics of the catalogue, narrowed by the dashboard's variables."""

from __future__ import annotations

from typing import Final

from airflow_provider_aiopt.telemetry.catalogue import Metric

OF_DAGS: Final = 'dag_id=~"$dag"'
OF_STAGES: Final = f'{OF_DAGS}, stage=~"$stage"'
PER_STAGE: Final = "dag_id, stage"

WINDOW: Final = "$window"
"""How far each point of a curve looks back: runs may be far apart, the scrapes are not."""
SHOWN: Final = "$__range"
"""All that the dashboard shows, for single numbers."""


def series(metric: Metric, part: str = "", labels: str = OF_STAGES) -> str:
    """Return the selector of a metric's time series.

    :param metric: a metric of the catalogue
    :param part: of a timing ``_bucket``, ``_sum`` or ``_count``
    :param labels: matchers
    """
    return f"{metric.prometheus}{part}{{{labels}}}"


def growth(
    metric: Metric, part: str = "", *, by: str = "", window: str = WINDOW, labels: str = OF_STAGES
) -> str:
    """Return by how much a counter grew within the window.

    ``increase()`` does not know the value with which a series begins: a DAG's first run would not be seen.
    A series that was not there at the window's beginning counts in full instead.

    :param metric: a counter, or a timing together with *part*
    :param part: see :func:`series`
    :param by: labels that are kept; default: one sum of all
    :param window: what it looks back on
    :param labels: see :func:`series`
    """
    found = series(metric, part, labels)
    grown = f"({found} unless {found} offset {window}) or increase({found}[{window}])"
    return f"sum by ({by}) ({grown})" if by else f"sum({grown})"


def quantile(
    share: float, metric: Metric, *, by: str = PER_STAGE, window: str = WINDOW, labels: str = OF_STAGES
) -> str:
    """Return a quantile of a timing, in seconds; the other parameters are those of :func:`growth`.

    :param share: 0 to 1; 1 is the upper bound of the slowest occupied bucket
    """
    buckets = growth(metric, "_bucket", by=f"le, {by}", window=window, labels=labels)
    return f"histogram_quantile({share:g}, {buckets})"


def share_of(part: str, *others: str) -> str:
    """Return *part* over the sum of *part* and *others*, 0 to 1."""
    return f"{part} / ({' + '.join((part, *others))})"


def or_zero(expression: str) -> str:
    """Return 0 where the expression, without labels, has no value: not every stage sends every metric."""
    return f"({expression} or vector(0))"
