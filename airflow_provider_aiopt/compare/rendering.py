"""A comparison for people and for programs: a table, CSV, JSON and a chart."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from airflow_provider_aiopt.compare.comparing import decision, winner
from airflow_provider_aiopt.compare.models import (
    MOST_ROUNDS,
    Comparison,
    MetricComparison,
    VariantComparison,
)
from airflow_provider_aiopt.telemetry import units
from airflow_provider_aiopt.telemetry.figures import write_figure
from airflow_provider_aiopt.telemetry.plot import shorten

_STYLES = {"better": "bold green", "worse": "bold red", "equivalent": "bold", "inconclusive": "bold yellow"}
_COLOURS = {"better": "#2E7D4F", "worse": "#D1495B", "equivalent": "#4C78A8", "inconclusive": "#8C8C8C"}
_NAME_LENGTH = 32
_TICKS = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99),
    *(1, 1.01, 1.02, 1.05, 1.1, 1.2, 1.4, 2, 5, 10, 20, 50, 100),
)
_TICK_DISTANCE = 0.06  # of the axis's length

CSV_COLUMNS = (
    "Variant",
    "Metric",
    "Judged",
    "Verdict",
    "Baseline_median",
    "Variant_median",
    "Unit",
    "Ratio",
    "Low",
    "High",
    "P95_ratio",
    "P95_low",
    "P95_high",
    "P_value",
    "Mann_Whitney_p",
    "Adjusted_p",
    "Rounds",
    "Rounds_needed",
)
"""The columns in their order, a line for each metric of each variant.

``Verdict``, ``Adjusted_p`` and ``Rounds_needed`` stand in the judged metric's line only.
"""


def variant_table(comparison: Comparison, variant: VariantComparison) -> Table:
    """Lay out a variant's metrics: the judged one first, then the others.

    :param comparison: what was found
    :param variant: the variant that is meant
    """
    confidence = f"{1 - comparison.alpha:.0%}"
    table = Table(
        title=Text(f"{variant.name} beside {comparison.baseline}: {variant.verdict}"),
        title_justify="left",
        title_style=_STYLES[variant.verdict],
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=0,
        collapse_padding=True,
    )
    table.add_column("Metric", overflow="fold", min_width=12)
    for heading in (
        "Baseline\nmedian",
        "Variant\nmedian",
        f"Ratio of medians\n({confidence} interval)",
        "Ratio of p95",
        "p",
        "Mann-\nWhitney",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for place, metric in enumerate(variant.metrics):
        table.add_row(*map(Text, _cells(metric)), style="bold" if place == 0 else "dim")
    return table


def verdict_line(comparison: Comparison, variant: VariantComparison) -> str:
    """Say in one line what was found, and what to do where it is not enough.

    :param comparison: what was found
    :param variant: the variant that is meant
    """
    judged = variant.judged
    interval = f"{judged.ratio:.3f} times, {judged.low:.3f} to {judged.high:.3f}"
    found = f"{variant.name} is {variant.verdict}"
    if variant.verdict == "inconclusive":
        found = f"{variant.name}: inconclusive"
    line = f"{found}: {judged.metric} is {interval} that of {comparison.baseline}, {judged.rounds} rounds"
    if variant.verdict != "inconclusive":
        return line
    if variant.rounds_needed is None:
        return (
            f"{line}. Even {MOST_ROUNDS} rounds would hardly tell: it is as large as the threshold of "
            f"{comparison.threshold:.0%}, or the runs vary too much"
        )
    return f"{line}. About {variant.rounds_needed} rounds in all are needed: --rounds {variant.rounds_needed}"


def agreement_line(comparison: Comparison, variant: VariantComparison) -> str:
    """Say whether the results are the same.

    :param comparison: what was found
    :param variant: the variant that is meant
    """
    found = variant.agreement
    if found is None:
        return "Results: not compared, since not both runs have theirs"
    accounts = "every record is accounted for" if found.balanced else "records are NOT all accounted for"
    quarantined = f"{found.quarantined[0]} and {found.quarantined[1]} quarantined"
    count = f"{found.same} of {found.records} answers ({found.share:.1%})"
    return f"Results: {count} are those of {comparison.baseline}; {accounts}, {quarantined}"


def csv_text(comparison: Comparison) -> str:
    """Return a comparison as CSV with the header :data:`CSV_COLUMNS`.

    :param comparison: what was found
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for variant in comparison.variants:
        for place, metric in enumerate(variant.metrics):
            judged = place == 0
            writer.writerow(
                [
                    variant.name,
                    metric.metric,
                    int(judged),
                    variant.verdict if judged else "",
                    metric.baseline_median,
                    metric.variant_median,
                    metric.unit,
                    metric.ratio,
                    metric.low,
                    metric.high,
                    metric.p95_ratio,
                    metric.p95_low,
                    metric.p95_high,
                    metric.p_value,
                    metric.mann_whitney_p,
                    variant.adjusted_p if judged else "",
                    metric.rounds,
                    (variant.rounds_needed or "") if judged else "",
                ]
            )
    return stream.getvalue()


def json_text(comparison: Comparison) -> str:
    """Return a comparison as JSON, one key for each field.

    :param comparison: what was found
    """
    return comparison.model_dump_json(indent=2) + "\n"


def summary(comparison: Comparison) -> dict[str, Any]:
    """Return what an XCom carries of a comparison: the verdicts, and the figures that they rest on.

    :param comparison: what was found
    """
    return {
        "verdict": decision(comparison),
        "winner": winner(comparison),
        "metric": comparison.metric,
        "variants": {
            variant.name: {
                "verdict": variant.verdict,
                "ratio": variant.judged.ratio,
                "low": variant.judged.low,
                "high": variant.judged.high,
                "rounds": variant.judged.rounds,
                "rounds_needed": variant.rounds_needed,
                "agreement": variant.agreement and variant.agreement.share,
            }
            for variant in comparison.variants
        },
    }


def write_plot(comparison: Comparison, path: Path | str) -> None:
    """Draw the ratios with their intervals, and the threshold, to a PNG or SVG file.

    :param comparison: what was found
    :param path: the file, ``.png`` or ``.svg``; its folder is made where it is missing
    :raises MissingExtraError: if matplotlib is not installed
    :raises ReportError: if the suffix is another
    :raises StorageError: if the file cannot be written
    """
    rows = [(variant, metric) for variant in comparison.variants for metric in variant.metrics]
    write_figure(
        path,
        lambda figure: _draw(figure.add_subplot(), comparison, rows),
        size=(9.0, 1.8 + 0.34 * len(rows)),
        purpose="Drawing a comparison",
    )


def _cells(metric: MetricComparison) -> tuple[str, ...]:
    show = units.duration if metric.unit == "s" else units.rate
    return (
        metric.metric,
        f" {show(metric.baseline_median)}",
        f" {show(metric.variant_median)}",
        f" {metric.ratio:.3f} ({metric.low:.3f} to {metric.high:.3f})",
        f" {metric.p95_ratio:.3f}",
        f" {metric.p_value:.2g}",
        f" {metric.mann_whitney_p:.2g}",
    )


def _draw(axes: Any, comparison: Comparison, rows: list[tuple[VariantComparison, MetricComparison]]) -> None:
    margin = 1 + comparison.threshold
    axes.axvspan(1 / margin, margin, color="#EDEDED", label=f"within {comparison.threshold:.0%}")
    axes.axvline(1, color="#8C8C8C", linewidth=1)
    for row, (variant, metric) in enumerate(rows):
        judged = metric is variant.judged
        colour = _COLOURS[variant.verdict] if judged else "#B8B8B8"
        axes.plot([metric.low, metric.high], [row, row], color=colour, linewidth=3 if judged else 1.5)
        axes.plot([metric.ratio], [row], "o", color=colour, markersize=7 if judged else 4)
    labels = [f"{shorten(variant.name, _NAME_LENGTH)}: {metric.metric}" for variant, metric in rows]
    axes.set_yticks(range(len(rows)), labels, parse_math=False)
    for label, (variant, metric) in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_weight("bold" if metric is variant.judged else "normal")
    ends = [1 / margin, margin, *(end for _, metric in rows for end in (metric.low, metric.high))]
    room = (max(ends) / min(ends)) ** 0.05
    axes.set_xscale("log")
    axes.set_xlim(min(ends) / room, max(ends) * room)
    ticks = _ticks(min(ends) / room, max(ends) * room)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(
        f"Ratio to {shorten(comparison.baseline, _NAME_LENGTH)}, {1 - comparison.alpha:.0%} interval"
    )
    verdicts = ", ".join(f"{variant.name}: {variant.verdict}" for variant in comparison.variants)
    axes.set_title(shorten(verdicts, 80), loc="left", weight="bold", parse_math=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.figure.legend(loc="outside lower left", frameon=False, fontsize=8)


def _ticks(low: float, high: float) -> list[float]:
    """Return round ratios between two, those nearest to 1 first, and none too close to another."""
    apart = _TICK_DISTANCE * math.log(high / low)
    found: list[float] = []
    for tick in sorted(_TICKS, key=lambda ratio: abs(math.log(ratio))):
        if low <= tick <= high and all(abs(math.log(tick / other)) >= apart for other in found):
            found.append(tick)
    return sorted(found)
