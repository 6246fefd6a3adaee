"""The tasks of a run as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

from airflow_provider_aiopt.telemetry.timings import SEGMENTS, RunTimings, TaskTimings

_COLUMNS: dict[str, Callable[[TaskTimings], object]] = {
    "Stage": lambda task: task.stage,
    "Task": lambda task: task.task_id,
    "Map_index": lambda task: task.map_index,
    "Try": lambda task: task.try_number,
    "State": lambda task: task.state,
    "Shard": lambda task: task.shard,
    "Scheduled_at": lambda task: task.scheduled_at and task.scheduled_at.isoformat(),
    "Queued_at": lambda task: task.queued_at and task.queued_at.isoformat(),
    "Started_at": lambda task: task.started_at and task.started_at.isoformat(),
    "Ended_at": lambda task: task.ended_at and task.ended_at.isoformat(),
    "Items": lambda task: task.items,
    "Quarantined": lambda task: task.quarantined,
    "Host": lambda task: task.host,
}

# A spreadsheet takes text that begins so for a formula and would run it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def task_csv(timings: RunTimings) -> str:
    """Return one line per task and stage: what the task's row says, then ``<Segment>_s`` for each segment.

    Times are UTC in ISO 8601, durations seconds at full precision; what is not known is empty.  Text that a
    spreadsheet would take for a formula is preceded by an apostrophe.

    :param timings: a run
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow([*_COLUMNS, *(f"{name.capitalize()}_s" for name in SEGMENTS)])
    for task in timings.tasks:
        seconds = {segment.name: segment.seconds for segment in task.segments}
        values = [value(task) for value in _COLUMNS.values()]
        writer.writerow([*map(_cell, values), *(seconds.get(name) for name in SEGMENTS)])
    return stream.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
