"""The grid that the tuner is judged by, each of its configurations measured as a trial is, none given up."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.spec.loading import load_spec
from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.tuning.attempt import Measuring
from airflow_provider_aiopt.tuning.space import SearchSpace, draw_configurations
from airflow_provider_aiopt.tuning.works import Works
from benchmarks.models import INT8
from benchmarks.photographs import photographs

RECORDS = 512
_ALL_AT_ONCE = 256 * 1024 * 1024

FULL: Mapping[str, tuple[Any, ...]] = {
    "execution.batch_size": (1, 2, 8, 16, 32),
    "execution.workers": (1, 2, None),
    "model.threads": (None, 2, 4),
    "execution.max_bytes_in_flight": (1, _ALL_AT_ONCE),
}
"""Ninety configurations.  A byte in flight is one batch at a time."""

SMALL: Mapping[str, tuple[Any, ...]] = {
    "execution.batch_size": (1, 8),
    "execution.workers": (1, None),
    "model.threads": (None, 4),
    "execution.max_bytes_in_flight": (1, _ALL_AT_ONCE),
}
"""Sixteen, to try whether the benchmark works."""


@dataclass(frozen=True)
class Point:
    """One configuration of the grid.

    :param configuration: values by dotted key
    :param items_per_s: records per second; None where it failed
    :param error: half-width of the 95 % interval, relative to it
    :param seconds: what measuring it took
    """

    configuration: dict[str, Any]
    items_per_s: float | None
    error: float | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def bad_pipeline() -> PipelineSpec:
    """Return the demo's model over photographs: one at a time, one worker, and more threads than cores."""
    return load_spec(
        {
            "name": "badly-set",
            "source": {"uri": str(photographs(RECORDS))},
            "model": {"uri": INT8, "device": "cpu", "threads": 4},
            "execution": {"batch_size": 1, "workers": 1, "max_bytes_in_flight": 1},
        }
    )


def measure_grid(
    spec: PipelineSpec,
    space: SearchSpace,
    measuring: Measuring,
    folder: Path,
    on_point: Callable[[int, Point], None],
) -> tuple[list[Point], float]:
    """Measure every configuration, in random order, so that no drift of the machine favours a part of them.

    :returns: the points in the order in which they were measured, and the seconds of all
    """
    began = time.monotonic()
    works = Works(spec, folder, records=RECORDS)
    points: list[Point] = []
    for configuration in draw_configurations(space, random.Random(0)):  # noqa: S311 - no secret
        attempt = measuring.attempt(works.make(configuration), lambda *_: False)
        found = attempt.measured if attempt.outcome == "complete" else None
        points.append(
            Point(
                configuration,
                found.items_per_s if found else None,
                found.error if found else None,
                attempt.seconds,
            )
        )
        on_point(len(points), points[-1])
    return points, time.monotonic() - began


def ranked(points: Sequence[Point]) -> list[Point]:
    """Return the points that were measured, the best first."""
    return sorted(
        (point for point in points if point.items_per_s is not None),
        key=lambda point: point.items_per_s or 0.0,
        reverse=True,
    )
