"""What quantising changed, as a table for a terminal and as values for programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from airflow_provider_aiopt.optimize.quantize import QuantizeReport
from airflow_provider_aiopt.telemetry import units


def quantize_values(report: QuantizeReport) -> dict[str, Any]:
    """Return a report as JSON values: sizes in bytes, latencies in seconds by batch size.

    :param report: what :func:`~.quantize.quantize_model` returned
    """
    return {
        "before": asdict(report.before),
        "after": asdict(report.after),
        "evaluation": asdict(report.evaluation),
        "card": report.card.model_dump(mode="json"),
    }


def quantize_table(report: QuantizeReport) -> Table:
    """Lay out size, latency and accuracy before and after, one figure to a row.

    :param report: what :func:`~.quantize.quantize_model` returned
    """
    before, after, evaluation = report.before, report.after, report.evaluation
    table = Table(
        title=Text(report.card.name),
        caption=Text(f"Differences over {evaluation.n} records; latencies are of this machine"),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
    )
    table.add_column("")
    for title in (before.precision, after.precision, "change"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_row("size", *_pair(before.size_bytes, after.size_bytes, lambda size: units.size(int(size))))
    for batch, time in before.latency_s.items():
        table.add_row(f"latency, batch of {batch}", *_pair(time, after.latency_s[batch], units.duration))
    table.add_row("same first answer", "", units.share(evaluation.agreement), "")
    table.add_row("same, where the original is sure", "", units.share(evaluation.confident_agreement), "")
    table.add_row("largest score error", "", f"{evaluation.max_score_error:.4f}", "")
    table.add_row("mean score error", "", f"{evaluation.mean_score_error:.4f}", "")
    return table


def _pair(before: float, after: float, show: Callable[[float], str]) -> tuple[str, str, str]:
    return show(before), show(after), f"{before / after:.1f}x less" if after < before else "not less"
