"""What a stage spent most of its time with: one line for alerts. The advisor judges whole runs."""

from __future__ import annotations

from typing import NamedTuple

from airflow_provider_aiopt.telemetry.reports import StageSummary

_REMEDIES = {
    "reading": "Use faster storage for the source or the work folder, or raise source.readers so that "
    "more is read side by side; a streamed stage waits for the one before it",
    "writing": "Use a faster work folder or sink; a streamed stage waits for the one after it",
    "loading its model": "Each inference task loads the model once: use fewer, larger shards "
    "(execution.shards, execution.shard_bytes), or the streaming mode",
    "computing": "Give it more cores or a faster device (the report's runtime names the one that it ran on), "
    "spread it over more shards, or let the cache keep what preprocessing prepares",
}


class LargestPart(NamedTuple):
    """What a stage's tasks spent most of their time with.

    :param name: what they did
    :param share: the part of their time that it took, 0 to 1
    :param remedy: what to change, without a full stop
    """

    name: str
    share: float
    remedy: str


def largest_part(stage: StageSummary) -> LargestPart:
    """Say what the tasks of *stage* spent most of their time with."""
    parts = {
        "reading": stage.wait_input_s,
        "writing": stage.wait_output_s,
        "loading its model": stage.model_load_s,
        "computing": max(0.0, stage.busy_s - stage.model_load_s),
    }
    name = max(parts, key=lambda part: parts[part])
    part = min(1.0, parts[name] / stage.task_s) if stage.task_s else 0.0
    return LargestPart(name, part, _REMEDIES[name])
