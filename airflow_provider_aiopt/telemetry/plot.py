"""The run report as a bar chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_provider_aiopt.telemetry import units
from airflow_provider_aiopt.telemetry.figures import write_figure
from airflow_provider_aiopt.telemetry.reports import RunReport, StageSummary

# Blue and red stay apart for the common kinds of colour blindness; the bottleneck is bold besides.
_STAGE, _STAGE_WAITING = "#4C78A8", "#BFCFE1"
_BOTTLENECK, _BOTTLENECK_WAITING = "#D1495B", "#EFBFC6"
_QUEUE, _MUTED = "#B8B8B8", "#5F5F5F"
_BAR, _QUEUE_BAR = 0.5, 0.16  # heights, in units of the distance between two stages
_NAME_LENGTH = 28
_TITLE_LENGTH = 72


def write_plot(report: RunReport, path: Path | str) -> None:
    """Draw the stages of *report* as bars and write them to a PNG or SVG file.

    A bar is as long as its stage took; its solid part is the share of the time in which the stage's tasks
    were busy, its pale part that in which they waited for input or output.  Thin bars show how long Airflow
    had the tasks scheduled and queued before.  The same report always gives the same SVG.

    :param report: a run report
    :param path: the file, ``.png`` or ``.svg``; its folder is made where it is missing
    :raises MissingExtraError: if matplotlib is not installed
    :raises ReportError: if the suffix is another
    :raises StorageError: if the file cannot be written
    """
    write_figure(
        path,
        lambda figure: _draw(figure, report),
        size=(9.0, 2.0 + 0.6 * len(report.stages)),
        purpose="Drawing a run report",
    )


def _draw(figure: Any, report: RunReport) -> None:
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
    axes = figure.add_subplot()
    for row, stage in enumerate(report.stages):
        _draw_stage(axes, row, stage)
    ends = [(stage.duration_s, _waited(stage) or 0.0) for stage in report.stages]
    longest = max(max(pair) for pair in ends) or 1.0
    axes.set_xlim(0, longest * (1.6 if report.overlapped else 1.35))  # room for the bars' numbers
    for row, stage in enumerate(report.stages):
        _label_stage(axes, row, stage, gap=longest * 0.01, overlapped=report.overlapped)
    _dress(axes, report)
    _add_legend(figure, report)


def _draw_stage(axes: Any, row: int, stage: StageSummary) -> None:
    colour, pale = (_BOTTLENECK, _BOTTLENECK_WAITING) if stage.bottleneck else (_STAGE, _STAGE_WAITING)
    total = stage.busy_s + stage.wait_input_s + stage.wait_output_s
    busy = stage.duration_s * (stage.busy_s / total if total else 1.0)
    axes.barh(row, busy, _BAR, color=colour)
    axes.barh(row, stage.duration_s - busy, _BAR, left=busy, color=pale)
    if waited := _waited(stage):
        axes.barh(_queue_row(row), waited, _QUEUE_BAR, color=_QUEUE)


def _label_stage(axes: Any, row: int, stage: StageSummary, *, gap: float, overlapped: bool) -> None:
    busy = f", busy {units.duration(stage.busy_s)}" if overlapped else ""
    axes.text(
        stage.duration_s + gap,
        row,
        f"{units.duration(stage.duration_s)}{busy} ({units.share(stage.share)})",
        va="center",
        weight="bold" if stage.bottleneck else "normal",
    )
    if waited := _waited(stage):
        label = f"{units.duration(waited)} in the queue"
        axes.text(waited + gap, _queue_row(row), label, va="center", size=7, color=_MUTED)


def _dress(axes: Any, report: RunReport) -> None:
    labels = [
        f"{shorten(stage.stage, _NAME_LENGTH)}" + (f" ({stage.tasks} tasks)" if stage.tasks > 1 else "")
        for stage in report.stages
    ]
    axes.set_yticks(range(len(labels)), labels, parse_math=False)
    for label, stage in zip(axes.get_yticklabels(), report.stages, strict=True):
        label.set_weight("bold" if stage.bottleneck else "normal")
    axes.set_ylim(len(labels) - 0.35, -0.6)  # the first stage on top
    axes.set_xlabel("Duration (s)")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#E4E4E4")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    title = f"{shorten(report.pipeline, _TITLE_LENGTH - 20)}: duration by stage"
    axes.set_title(title, loc="left", weight="bold", pad=20, parse_math=False)
    axes.annotate(
        shorten(report.run_id, _TITLE_LENGTH),
        (0, 1),
        (0, 7),
        xycoords="axes fraction",
        textcoords="offset points",
        color=_MUTED,
        size=9,
        parse_math=False,
    )


def _add_legend(figure: Any, report: RunReport) -> None:
    from matplotlib.patches import Patch

    of_what = "busy time" if report.overlapped else "time"
    handles = [Patch(color=_STAGE, label="busy")]
    if any(stage.wait_input_s + stage.wait_output_s for stage in report.stages):
        handles.append(Patch(color=_STAGE_WAITING, label="waiting for input or output"))
    if slowest := report.bottleneck:
        name, share = shorten(slowest.stage, _NAME_LENGTH), units.share(slowest.share)
        handles.append(Patch(color=_BOTTLENECK, label=f"bottleneck: {name}, {share} of the {of_what}"))
    if any(_waited(stage) for stage in report.stages):
        handles.append(Patch(color=_QUEUE, label="scheduled and queued by Airflow before"))
    legend = figure.legend(handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=8)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _waited(stage: StageSummary) -> float | None:
    if stage.scheduled_s is None and stage.queued_s is None:
        return None
    return (stage.scheduled_s or 0.0) + (stage.queued_s or 0.0)


def _queue_row(row: int) -> float:
    return row + _BAR / 2 + _QUEUE_BAR / 2 + 0.03


def shorten(text: str, length: int) -> str:
    """Cut the middle out of *text* where it is longer than *length*: both ends tell names apart.

    :param text: a name
    :param length: most characters of the result
    """
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[-tail:]}"
