"""Predictions and plans for a terminal and for programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel
from rich import box
from rich.table import Table

from airflow_provider_aiopt.simulation.estimates import Estimate
from airflow_provider_aiopt.simulation.planning import Plan
from airflow_provider_aiopt.simulation.prediction import Limit, Prediction
from airflow_provider_aiopt.simulation.service import Calibration
from airflow_provider_aiopt.simulation.steady import Service
from airflow_provider_aiopt.telemetry import units


def prediction_table(predictions: Sequence[Prediction], varied: Sequence[str], *, priced: bool) -> Table:
    """Lay out predictions, one to a row, the fastest marked.

    :param predictions: one or more
    :param varied: fields of the configuration that have a column
    :param priced: whether the cost is known
    """
    first = predictions[0]
    what = f"{first.runs} run{'s' if first.runs > 1 else ''} of {units.count(first.items)} records, simulated"
    columns = ["Makespan", "95 % interval", "Queue p50", "p95", "max", "Workers", "Cores"]
    columns += ["GPUs"] * any(item.gpu_share is not None for item in predictions)
    table = _table(what, [*map(_title, varied), *columns, *["Cost"] * priced, "Limit"])
    fastest = min(predictions, key=lambda item: item.makespan_s.mean)
    for item in predictions:
        mark = " *" if item is fastest and len(predictions) > 1 else ""
        cells = [str(getattr(item.configuration, key)) for key in varied]
        cells += [units.duration(item.makespan_s.mean) + mark, _interval(item.makespan_s)]
        cells += map(units.duration, (item.queue_p50_s, item.queue_p95_s, item.queue_max_s))
        cells += [units.share(item.worker_share), units.share(item.core_share)]
        cells += [units.share(item.gpu_share or 0.0)] * ("GPUs" in columns)
        cells += [f"{item.cost:.4g}"] * priced
        table.add_row(*cells, _limit(item.limit))
    return table


def service_table(services: Sequence[Service], varied: Sequence[str]) -> Table:
    """Lay out what records have to wait for under a load, one configuration to a row.

    :param services: one or more
    :param varied: fields of the configuration that have a column
    """
    columns = ["Upload to results p50", "p95", "95 % interval", "p99", "Runs/h", "Workers", "Cores"]
    columns += ["GPUs"] * any(item.gpu_share is not None for item in services)
    table = _table("Under this load, simulated", [*map(_title, varied), *columns])
    for item in services:
        cells = [str(getattr(item.configuration, key)) for key in varied]
        if item.growing:
            cells += ["backlog grows", "", "", ""]
        else:
            cells += [_seconds(item.p50_s.mean), _seconds(item.p95_s.mean)]
            cells += [_interval(item.p95_s), _seconds(item.p99_s.mean)]
        cells += [f"{item.runs_per_hour:.0f}", units.share(item.worker_share), units.share(item.core_share)]
        cells += [units.share(item.gpu_share or 0.0)] * ("GPUs" in columns)
        table.add_row(*cells)
    return table


def plan_lines(plan: Plan, *, priced: bool) -> list[str]:
    """Return what a plan says, a line for each fact.

    :param plan: the plan
    :param priced: whether the cost is known
    """
    best, found = plan.best, plan.best.configuration
    keys = ["machines", "cores", "workers", "shards", "active_runs", *["gpus"] * bool(found.gpus)]
    batches = (
        f"uploads of {units.duration(best.batching.window_s)}, at most "
        f"{units.count(best.batching.max_batch)} to a run: {best.runs_per_hour:.0f} runs an hour"
    )
    results = (
        f"p50 {_seconds(best.p50_s.mean)}, p95 {_seconds(best.p95_s.mean)} ({_interval(best.p95_s)}), "
        f"p99 {_seconds(best.p99_s.mean)} after the upload"
    )
    borne = (
        f"bears {plan.growth:g} times the load" if plan.growth > 1 else "bears not even 1.1 times the load"
    )
    gpus = "" if best.gpu_share is None else f", GPUs {units.share(best.gpu_share)}"
    lines = [
        f"needs     {found.label(keys)} (cores and workers of each machine)",
        f"batches   {batches}",
        f"results   {results}",
        f"margin    {_seconds(plan.margin_s)} to the goal of {units.duration(plan.goal_s)}; {borne}",
        f"busy      cores {units.share(best.core_share)}, workers {units.share(best.worker_share)}{gpus}",
    ]
    lines += [f"costs     {plan.cost_per_hour:.4g} an hour"] * priced
    lines += [f"with {variant.change}: {_outcome(variant.service, plan.goal_s)}" for variant in plan.less]
    return [*lines, f"simulated {plan.tried} configurations"]


def assumptions(calibration: Calibration, *, on_the_measured: bool) -> list[str]:
    """Return what one has to know of where the numbers come from.

    :param calibration: the measured pipeline
    :param on_the_measured: whether the simulated machine has as many cores as the measured one
    """
    runs = f"{calibration.runs} measured run{'s' if calibration.runs > 1 else ''}"
    what = (
        f"Simulated from {runs} with {calibration.tasks} tasks of {calibration.pipeline} "
        f"({calibration.mode}) on {calibration.cores} cores: processors, storage and model as there, tasks "
        "of one machine share its cores in equal parts, all machines reach storage and database as fast, no "
        "task fails."
    )
    lines = [what]
    if not calibration.airflow.measured:
        lines.append(
            "Airflow's own times are not known: its loop, hand-over and start-up are estimates for default "
            "settings. Give --airflow-url, or a report that has them."
        )
    if calibration.crowded:
        lines.append(
            f"Others would have used {calibration.neighbours:.1f} cores while it was measured, and do so in "
            "the simulation: measure on an idle machine, or say --neighbours 0."
        )
    if not on_the_measured:
        lines.append(
            "Another number of cores than measured: a task is supposed to use no more of them than it did."
        )
    return lines


def plain(value: Any) -> Any:
    """Return dataclasses and models as values for JSON, which has no infinity: None.

    :param value: anything that this package's simulations answer
    """
    if isinstance(value, BaseModel):
        return plain(value.model_dump())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1))
    for column in columns:
        table.add_column(column, justify="left" if column == "Limit" else "right", no_wrap=True)
    return table


def _title(field: str) -> str:
    return field.replace("_", " ").capitalize()


def _limit(limit: Limit | None) -> str:
    if limit is None:
        return ""
    if limit.name == "steps":
        return "the steps themselves"
    return f"{limit.name}: twice as many, {limit.gain:.2f} times as fast"


def _outcome(service: Service, goal_s: float) -> str:
    if service.growing or math.isinf(service.p95_s.mean):
        return "cannot keep up, the backlog grows"
    verdict = "still meets the goal" if service.meets(goal_s) else "misses the goal"
    return f"p95 {_seconds(service.p95_s.mean)}, {verdict}"


def _interval(value: Estimate) -> str:
    return f"{_seconds(value.low)} to {_seconds(value.high)}"


def _seconds(value: float) -> str:
    return "never" if math.isinf(value) else units.duration(max(0.0, value))
