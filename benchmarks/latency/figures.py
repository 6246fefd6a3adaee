"""From the times of single uploads to quantiles, tables and targets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table

from benchmarks.checks import Check, table
from benchmarks.latency_systems.base import System

if TYPE_CHECKING:
    from local_airflow import Database


@dataclass(frozen=True)
class Sample:
    """One upload, with times in seconds since the epoch; what did not happen or is not known is None.

    :param system: which system took it up
    :param configuration: the configuration of Airflow
    :param run_id: the run that took it up
    :param uploaded_at: when the object was there
    :param event_at: when Airflow noted that it was: an asset's event, or the end of the sensor
    :param run_created_at: when the run was queued; before the upload with a sensor
    :param first_task_at: when the first task's own code began
    :param results_at: when the results were there
    """

    system: str
    configuration: str
    run_id: str
    uploaded_at: float
    event_at: float | None
    run_created_at: float | None
    first_task_at: float
    results_at: float | None

    @property
    def label(self) -> str:
        """The system and the configuration."""
        return label(self.system, self.configuration)

    @property
    def to_first_task_s(self) -> float:
        """Seconds from the upload to the first task."""
        return self.first_task_at - self.uploaded_at

    @property
    def to_results_s(self) -> float | None:
        """Seconds from the upload to the results."""
        return None if self.results_at is None else self.results_at - self.uploaded_at

    def to_dict(self) -> dict[str, Any]:
        """Return the sample as plain values."""
        return asdict(self)


def label(system: str, configuration: str) -> str:
    """Return what a system is called in one configuration."""
    return f"{system}@{configuration}"


def quantile(values: Sequence[float], share: float) -> float:
    """Return the quantile of *values* at *share*, interpolated between its neighbours."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low, high = math.floor(place), math.ceil(place)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p95, max and n of *values*, in seconds."""
    figures = {"p50": quantile(values, 0.5), "p95": quantile(values, 0.95), "max": max(values)}
    return {name: round(value, 4) for name, value in figures.items()} | {"n": len(values)}


def results(samples: Iterable[Sample]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the spread of upload to first task, and of upload to results, by label."""
    first: dict[str, list[float]] = {}
    last: dict[str, list[float]] = {}
    for sample in samples:
        first.setdefault(sample.label, []).append(sample.to_first_task_s)
        if sample.to_results_s is not None:
            last.setdefault(sample.label, []).append(sample.to_results_s)
    return {
        "upload_to_first_task_s": {name: spread(values) for name, values in first.items()},
        "upload_to_results_s": {name: spread(values) for name, values in last.items()},
    }


def tables(
    samples: Sequence[Sample], figures: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> list[Table]:
    """Return a table for each of the two times, and one of where the time to the first task went."""
    titles = {"upload_to_first_task_s": "Upload to first task", "upload_to_results_s": "Upload to results"}
    return [
        *(_spreads(titles[name], found) for name, found in figures.items() if found),
        _steps(samples),
    ]


def checks(
    figures: Mapping[str, Mapping[str, Mapping[str, float]]], systems: Iterable[System], database: Database
) -> list[Check]:
    """Return the p95 of the systems that have a target with *database*, beside it."""
    return [
        Check(f"{name}: p95 to {what}, s", figures[key][name]["p95"], target, at_most=True)
        for system in systems
        for key, what, targets in _targets(system, database)
        for configuration, target in targets.items()
        if (name := label(system.name, configuration)) in figures[key]
    ]


def _targets(system: System, database: Database) -> list[tuple[str, str, Mapping[str, float]]]:
    if database == "sqlite":
        return [("upload_to_first_task_s", "first task", system.sqlite_first_task_p95_s)]
    return [
        ("upload_to_first_task_s", "first task", system.first_task_p95_s),
        ("upload_to_results_s", "results", system.results_p95_s),
    ]


def _spreads(title: str, figures: Mapping[str, Mapping[str, float]]) -> Table:
    rows = [
        (name, *(f"{found[key]:.2f}" for key in ("p50", "p95", "max")), str(found["n"]))
        for name, found in figures.items()
    ]
    return table(title, ("seconds", "p50", "p95", "max", "n"), rows)


def _steps(samples: Sequence[Sample]) -> Table:
    """Medians of upload -> event -> run -> first task -> results; a sensor's run is there before."""
    rows = []
    for name in dict.fromkeys(sample.label for sample in samples):
        own = [sample for sample in samples if sample.label == name]
        rows.append(
            (
                name,
                *(_step(own, step) for step in ("event_at", "run_created_at", "first_task_at", "results_at")),
            )
        )
    return table("Median time after the upload", ("seconds", "event", "run", "first task", "results"), rows)


def _step(samples: Sequence[Sample], step: str) -> str:
    times = [(getattr(sample, step), sample.uploaded_at) for sample in samples]
    after = [at - uploaded for at, uploaded in times if at is not None]
    if not after:
        return ""
    median = quantile(after, 0.5)
    return f"{median:.2f}" if median >= 0 else "before"
