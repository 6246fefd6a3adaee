"""A search for people: lines while it goes on, tables at its end, and its curve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from airflow_provider_aiopt.telemetry import units
from airflow_provider_aiopt.telemetry.figures import write_figure
from airflow_provider_aiopt.tuning.deciding import best_so_far, best_trial
from airflow_provider_aiopt.tuning.models import Configuration, Finalist, Objective, Trial, TuneReport

_ENDINGS = {
    "budget": "the budget is used up",
    "trials": "as many trials as allowed",
    "converged": "the last trials found nothing better",
    "exhausted": "all configurations were tried",
    "interrupted": "interrupted",
}
_COLOURS = {"baseline": "#D1495B", "guess": "#E9A23B", "search": "#4C78A8"}
_MUTED = "#8C8C8C"
_UNITS = {"throughput": "items/s", "latency": "p95 of a batch (s)"}


def configuration_text(configuration: Configuration) -> str:
    """Write a configuration on one line.

    :param configuration: values by dotted key
    """
    return ", ".join(
        f"{key.rpartition('.')[2]} {'default' if value is None else _short(key, value)}"
        for key, value in configuration.items()
    )


def value_text(value: float | None, objective: Objective) -> str:
    """Write what is made better.

    :param value: None for nothing
    :param objective: which of the two
    """
    if value is None:
        return "-"
    return f"{units.rate(value)} items/s" if objective == "throughput" else f"p95 {units.duration(value)}"


def trial_line(trial: Trial, best: Trial | None, objective: Objective) -> str:
    """Write a trial on one line.

    :param trial: one that has ended
    :param best: the best so far
    :param objective: what is made better
    """
    value = value_text(trial.value(objective), objective)
    error = f" ±{units.share(trial.error)}" if trial.error is not None and objective == "throughput" else ""
    memory = units.size(trial.peak_memory_bytes) if trial.peak_memory_bytes else "-"
    mark = " *" if best is not None and best.number == trial.number else ""
    what = trial.outcome if trial.reason is None else f"{trial.outcome}: {trial.reason}"
    return (
        f"{trial.number:>3} {trial.origin:<8} {value}{error}{mark}, {memory}, "
        f"{units.duration(trial.seconds)}: {configuration_text(trial.configuration)}"
        + ("" if trial.outcome == "complete" else f" ({what})")
    )


def result_table(report: TuneReport) -> Table:
    """Lay out the baseline and what was measured again beside it, the best first.

    :param report: what a search found
    """
    table = Table(
        title=Text(f"{report.pipeline}: {report.objective}, measured again in turn"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
    )
    for heading in ("Trial", "Configuration"):
        table.add_column(heading, overflow="fold")
    for heading in ("Baseline", "Found", "Ratio (95 % interval)", "Memory", "Verdict"):
        table.add_column(heading, justify="right", no_wrap=heading != "Verdict", overflow="fold")
    for item in report.finalists:
        metric, objective = item.metric, report.objective
        table.add_row(
            f"{item.trial}{' *' if item.trial == report.winner else ''}",
            configuration_text(item.configuration),
            value_text(metric.baseline_median, objective),
            value_text(metric.variant_median, objective),
            f"{metric.ratio:.3f} ({metric.low:.3f} to {metric.high:.3f})",
            units.size(item.peak_memory_bytes) if item.peak_memory_bytes else "-",
            item.refused or item.verdict,
            style="bold" if item.trial == report.winner else "",
        )
    return table


def curve_table(report: TuneReport, *, most: int = 12) -> Table:
    """Lay out the best value by the time of the search, a line for each gain.

    :param report: what a search found
    :param most: lines at most, the last ones
    """
    table = Table(title=Text("Best so far"), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    for heading in ("After", "Best", "Trial", "Configuration"):
        table.add_column(heading, justify="left" if heading == "Configuration" else "right", overflow="fold")
    for trial in _leaders(report.trials, report.objective)[-most:]:
        table.add_row(
            units.duration(trial.ended_s),
            value_text(trial.value(report.objective), report.objective),
            f"{trial.number} {trial.origin}",
            configuration_text(trial.configuration),
        )
    return table


def summary_lines(report: TuneReport) -> list[str]:
    """Say what was found, in sentences.

    :param report: what a search found
    """
    counts = {name: sum(trial.outcome == name for trial in report.trials) for name in _OUTCOMES}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    found = (
        f"{len(report.trials)} of {units.count(report.grid_size)} configurations tried ({told}) on "
        f"{units.count(report.records)} of {units.count(report.total_records)} records in "
        f"{units.duration(report.seconds)}; {_ENDINGS[report.ended]}"
    )
    dropped = [f"Trial {number} was not measured again: {why}" for number, why in report.dropped.items()]
    return [found, *dropped, verdict_line(report)]


_OUTCOMES = ("complete", "pruned", "infeasible", "failed")


def verdict_line(report: TuneReport) -> str:
    """Say whether to change, and what that brings.

    :param report: what a search found
    """
    if report.best is not None:
        metric = report.best.metric
        word = "the throughput" if report.objective == "throughput" else "the batches' p95"
        line = (
            f"Change to trial {report.winner}: {word} is {metric.ratio:.2f} times the baseline's "
            f"({metric.low:.2f} to {metric.high:.2f}, {metric.rounds} rounds in turn)"
        )
        if report.baseline.outcome == "infeasible":
            return f"{line}. The baseline breaks a limit: {report.baseline.reason}"
        return line
    if report.ended == "interrupted":
        best = best_trial(report.trials, report.objective)
        value = best and value_text(best.value(report.objective), report.objective)
        number = f"trial {best.number} with {value}" if best else "none"
        return f"Not confirmed, so nothing is recommended. Best so far: {number}. Go on with --resume"
    if not report.finalists:
        return "No change: nothing that was tried is better than the spec as it is"
    first = report.finalists[0]
    if first.refused:
        return f"No change: trial {first.trial} is refused, {first.refused}"
    return f"No change: a gain is not established. {_why_not(first)}"


def _why_not(first: Finalist) -> str:
    metric = first.metric
    return (
        f"Trial {first.trial} comes to {metric.ratio:.3f} times the baseline ({metric.low:.3f} to "
        f"{metric.high:.3f}): {first.verdict}"
    )


def write_plot(report: TuneReport, path: Path | str) -> None:
    """Draw the trials and the best so far over the time of the search to a PNG or SVG file.

    :param report: what a search found
    :param path: the file, ``.png`` or ``.svg``; its folder is made where it is missing
    :raises MissingExtraError: if matplotlib is not installed
    :raises ReportError: if the suffix is another
    :raises StorageError: if the file cannot be written
    """
    write_figure(
        path,
        lambda figure: _draw(figure.add_subplot(), report),
        size=(9.0, 4.6),
        purpose="Drawing a search",
    )


def _draw(axes: Any, report: TuneReport) -> None:
    objective = report.objective
    for origin, colour in _COLOURS.items():
        own = [trial for trial in report.trials if trial.origin == origin and trial.outcome == "complete"]
        points = [(trial.ended_s, trial.value(objective)) for trial in own]
        if points:
            axes.scatter(*zip(*points, strict=True), color=colour, s=30, zorder=3, label=origin)
    pruned = [
        (trial.ended_s, value)
        for trial in report.trials
        if trial.outcome != "complete" and (value := trial.value(objective)) is not None
    ]
    if pruned:
        axes.scatter(*zip(*pruned, strict=True), color=_MUTED, s=24, marker="x", label="given up", zorder=2)
    curve = best_so_far(report.trials, objective)
    if curve:
        axes.step(*zip(*curve, strict=True), where="post", color="#2E7D4F", linewidth=2, label="best so far")
    if (own_value := report.baseline.value(objective)) is not None:
        axes.axhline(own_value, color=_COLOURS["baseline"], linewidth=1, linestyle=":")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("Time of the search (s)")
    axes.set_ylabel(_UNITS[objective])
    title = f"{report.pipeline}: {len(report.trials)} of {report.grid_size} configurations"
    axes.set_title(title, loc="left", weight="bold", parse_math=False)
    axes.grid(axis="y", color="#E4E4E4")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.figure.legend(loc="outside lower left", frameon=False, fontsize=8, ncols=5)


def _leaders(trials: Sequence[Trial], objective: Objective) -> list[Trial]:
    """Return the trials that were the best when they ended."""
    found: list[Trial] = []
    for number, trial in enumerate(trials):
        best = best_trial(trials[: number + 1], objective)
        if best is not None and best.number == trial.number:
            found.append(trial)
    return found


def _short(key: str, value: Any) -> str:
    if key.endswith("bytes_in_flight") and isinstance(value, int):
        return units.size(value)
    return str(value).rstrip("/").rpartition("/")[2]
