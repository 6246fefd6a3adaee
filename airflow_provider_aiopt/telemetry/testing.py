"""Stand-ins for tests of code that reports or sends metrics, this package's own and its users'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from airflow_provider_aiopt.telemetry.catalogue import Metric
from airflow_provider_aiopt.telemetry.reports import StageReport, TaskIdentity

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""The time at which reports of :func:`make_stage_report` count their ``start``."""


class Sent(NamedTuple):
    """One metric that a sink was given."""

    kind: Literal["timing", "counter", "gauge"]
    metric: Metric
    value: float
    tags: dict[str, str]


@dataclass
class RecordingMetrics:
    """A metrics sink that keeps what it is given.

    :param sent: everything, in order
    """

    sent: list[Sent] = field(default_factory=list)

    def timing_ms(self, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        """Keep a timing."""
        self.sent.append(Sent("timing", metric, value, dict(tags)))

    def counter(self, metric: Metric, value: int, tags: Mapping[str, str]) -> None:
        """Keep a counter."""
        self.sent.append(Sent("counter", metric, value, dict(tags)))

    def gauge(self, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        """Keep a gauge."""
        self.sent.append(Sent("gauge", metric, value, dict(tags)))


def make_task(task_id: str = "task", map_index: int = -1, try_number: int = 1) -> TaskIdentity:
    """Return the identity of a task of the run ``dag/run``."""
    return TaskIdentity(
        dag_id="dag", run_id="run", task_id=task_id, map_index=map_index, try_number=try_number
    )


def make_stage_report(
    stage: str = "inference", *, start: float = 0.0, wall_s: float = 1.0, **fields: Any
) -> StageReport:
    """Return a stage report that is complete where nothing else is said.

    :param stage: name of the stage
    :param start: when it began, in seconds after :data:`EPOCH`
    :param wall_s: how long it took, all of it busy unless *fields* says otherwise
    :param fields: further fields of :class:`StageReport`
    """
    waits = fields.get("wait_input_s", 0.0) + fields.get("wait_output_s", 0.0)
    defaults = {
        "pipeline": "pipeline",
        "stage": stage,
        "started_at": EPOCH + timedelta(seconds=start),
        "ended_at": EPOCH + timedelta(seconds=start + wall_s),
        "wall_s": wall_s,
        "busy_s": max(0.0, wall_s - waits),
    }
    return StageReport.model_validate(defaults | fields)
