"""What quantising or fast preprocessing changed, as tables for a terminal and as values for programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from airflow_provider_aiopt.optimize.preprocess import PreprocessComparison
from airflow_provider_aiopt.optimize.publishing import OptimizeReport
from airflow_provider_aiopt.telemetry import units


def optimize_values(report: OptimizeReport) -> dict[str, Any]:
    """Return a report as JSON values: sizes in bytes, latencies in seconds by batch size.

    :param report: what an optimisation returned
    """
    return {
        "before": asdict(report.before),
        "after": asdict(report.after),
        "evaluation": asdict(report.evaluation),
        "card": report.card.model_dump(mode="json"),
    }


def optimize_table(report: OptimizeReport) -> Table:
    """Lay out size, latency and accuracy before and after, one figure to a row.

    :param report: what an optimisation returned
    """
    before, after, evaluation = report.before, report.after, report.evaluation
    table = _table(
        report.card.name,
        f"Differences over {evaluation.n} records; latencies are of this machine",
        (before.precision, after.precision, "change"),
    )
    table.add_row("size", *_pair(before.size_bytes, after.size_bytes, lambda size: units.size(int(size))))
    for batch, time in before.latency_s.items():
        table.add_row(f"latency, batch of {batch}", *_pair(time, after.latency_s[batch], units.duration))
    table.add_row("same first answer", "", units.share(evaluation.agreement), "")
    table.add_row("same, where the original is sure", "", units.share(evaluation.confident_agreement), "")
    table.add_row("largest score error", "", f"{evaluation.max_score_error:.4f}", "")
    table.add_row("mean score error", "", f"{evaluation.mean_score_error:.4f}", "")
    return table


def comparison_values(comparison: PreprocessComparison) -> dict[str, Any]:
    """Return a comparison as JSON values: times in seconds.

    :param comparison: what :func:`~.preprocess.compare_preprocessing` returned
    """
    return asdict(comparison)


def comparison_table(comparison: PreprocessComparison) -> Table:
    """Lay out cost and answers of exact and fast preprocessing, one figure to a row.

    :param comparison: what :func:`~.preprocess.compare_preprocessing` returned
    """
    exact, fast, evaluation = comparison.exact, comparison.fast, comparison.evaluation
    table = _table(
        "Fast preprocessing: "
        + ", ".join(f"{name} {str(value).lower()}" for name, value in comparison.settings.items()),
        f"{comparison.sampled} records; {comparison.unusable} come to no answer, {comparison.one_sided} "
        "to one of the two ways only; times are of this machine",
        ("exact", "fast", "change"),
    )
    table.add_row("CPU time per image", *_pair(exact.cpu_s, fast.cpu_s, units.duration))
    table.add_row("time per image", *_pair(exact.wall_s, fast.wall_s, units.duration))
    table.add_row("same first answer", "", units.share(comparison.agreement), "")
    table.add_row("same, where the exact one is sure", "", units.share(evaluation.confident_agreement), "")
    table.add_row("largest score difference", "", f"{evaluation.max_score_error:.4f}", "")
    table.add_row("mean score difference", "", f"{evaluation.mean_score_error:.4f}", "")
    table.add_row("largest pixel difference, of 255", "", str(comparison.max_pixel_difference), "")
    table.add_row("mean pixel difference, of 255", "", f"{comparison.mean_pixel_difference:.3f}", "")
    return table


def _table(title: str, caption: str, columns: Sequence[str]) -> Table:
    table = Table(
        title=Text(title),
        caption=Text(caption),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
    )
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _pair(before: float, after: float, show: Callable[[float], str]) -> tuple[str, str, str]:
    return show(before), show(after), f"{before / after:.1f}x less" if after < before else "not less"
