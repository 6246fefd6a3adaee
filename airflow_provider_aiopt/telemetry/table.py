"""The run report as a table for a terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from airflow_provider_aiopt.telemetry import units
from airflow_provider_aiopt.telemetry.reports import RunReport, StageSummary

BOTTLENECK_MARK = "*"
"""Stands beside the bottleneck's name, for terminals without colour and for readers who see none."""


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    cell: Callable[[StageSummary], str]
    optional: bool = False  # left out where every stage's cell is empty


def stage_table(report: RunReport) -> Table:
    """Lay out the stages of *report*, one to a row, with the bottleneck marked.

    Columns that would be empty are left out: the queue times outside Airflow, tasks that failed, model loads
    and resumed records where there were none.

    :param report: a run report
    :returns: a table that prints the names as they are, markup characters included
    """
    table = Table(
        title=Text(f"{report.pipeline}: {report.run_id}" if report.run_id else report.pipeline),
        caption=_caption(report),
        title_justify="left",
        caption_justify="left",
        # Four stages with every column fit a terminal of 80 columns.
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=0,
    )
    columns = [
        column
        for column in _COLUMNS
        if not column.optional or any(column.cell(stage) for stage in report.stages)
    ]
    table.add_column("Stage", overflow="fold", min_width=13)
    for column in columns:
        table.add_column(column.title, justify="right", no_wrap=True)
    for stage in report.stages:
        name = f"{stage.stage} {BOTTLENECK_MARK}" if stage.bottleneck else stage.stage
        cells = (Text(column.cell(stage)) for column in columns)
        table.add_row(Text(name), *cells, style="bold yellow" if stage.bottleneck else None)
    return table


def _caption(report: RunReport) -> Text:
    records = f"{units.count(report.records_in)} records in, {units.count(report.results)} results"
    quarantined = f"{units.count(report.quarantined)} quarantined"
    lines = [f"{units.duration(report.wall_s)} in all: {records}, {quarantined}"]
    if slowest := report.bottleneck:
        of_what = "busy time" if report.overlapped else "time in stages"
        lines.append(
            f"{BOTTLENECK_MARK} bottleneck: {slowest.stage}, {units.share(slowest.share)} of the {of_what}"
        )
    if report.overlapped:
        lines.append("The stages ran side by side: shares are of their busy times")
    if cache := _cache(report):
        lines.append(cache)
    lines += _history(report)
    return Text("\n".join(lines))


def _cache(report: RunReport) -> str:
    """Say how much of the run's input a cache knew: a line, since a column has no room in 80 characters."""
    hits = sum(stage.cache_hits for stage in report.stages)
    asked = hits + sum(stage.cache_misses for stage in report.stages)
    errors = sum(stage.cache_errors for stage in report.stages)
    if not asked + errors:
        return ""
    line = f"Cache: {units.count(hits)} of {units.count(asked)} records were known and not decoded"
    return f"{line}; it failed {units.count(errors)}x and was off from then on" if errors else line


def _history(report: RunReport) -> list[str]:
    """Say which stages are beyond what is usual for them, where it is known what is."""
    known = [(stage, stage.usual_s) for stage in report.stages if stage.usual_s is not None]
    changed = [
        f"{stage.change.capitalize()} than usual: {stage.stage}, {units.duration(stage.duration_s)}, "
        f"usually {units.duration(usual_s)}"
        for stage, usual_s in known
        if stage.change
    ]
    return changed or (["Every stage took as long as usual"] if known else [])


def _queue(stage: StageSummary) -> str:
    if stage.scheduled_s is None and stage.queued_s is None:
        return ""
    return units.duration((stage.scheduled_s or 0.0) + (stage.queued_s or 0.0))


def _split(stage: StageSummary) -> str:
    """Say how the tasks' time divides into computing, waiting for input and waiting for output."""
    parts = (stage.busy_s, stage.wait_input_s, stage.wait_output_s)
    total = sum(parts)
    return "/".join(f"{100 * part / total:.0f}" for part in parts) if total else "-"


_COLUMNS = (
    _Column("Tasks", lambda stage: units.count(stage.tasks)),
    _Column("Failed", lambda stage: units.count(stage.failed) if stage.failed else "", optional=True),
    _Column("Duration", lambda stage: units.duration(stage.duration_s)),
    _Column("Share", lambda stage: units.share(stage.share)),
    _Column("Items", lambda stage: units.count(stage.items)),
    _Column("Resumed", lambda stage: units.count(stage.resumed) if stage.resumed else "", optional=True),
    _Column("Items/s", lambda stage: units.rate(stage.items_per_s)),
    _Column("Queue", _queue, optional=True),
    _Column("Busy/in/\nout, %", _split),
    _Column(
        "Model\nload",
        lambda stage: units.duration(stage.model_load_s) if stage.model_load_s else "",
        optional=True,
    ),
    _Column("Quaran-\ntined", lambda stage: units.count(stage.quarantined)),
)
