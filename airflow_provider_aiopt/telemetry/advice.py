"""What holds a run up, by the numbers of its report, and what to change."""

from __future__ import annotations

from typing import NamedTuple

from airflow_provider_aiopt.telemetry.reports import STAGES, RunReport, StageSummary
from airflow_provider_aiopt.telemetry.timings import Advice
from airflow_provider_aiopt.telemetry.units import share

_MOST = 0.4  # what takes this share of the bottleneck's time is worth changing first
_QUEUE_S = 1.0  # shorter waits for a worker are the scheduler's ordinary turn

_REMEDIES = {
    "reading": "Use faster storage for the source or the work folder, or raise execution.workers so that "
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


def advise(report: RunReport | None) -> tuple[Advice, ...]:
    """Say what the numbers of *report* show, the bottleneck first.

    :param report: a run's report; None where nothing has been reported
    """
    if report is None or report.bottleneck is None:
        return ()
    pace = _busiest if report.overlapped else _bottleneck
    return (*pace(report.bottleneck), *_queues(report))


def _busiest(stage: StageSummary) -> tuple[Advice, ...]:
    """Name what the others wait for: where stages run side by side their waits are for each other."""
    title = f"{stage.stage} holds up the stages beside it: {share(stage.share)} of all their work"
    remedy = _REMEDIES["reading" if stage.stage == STAGES[0] else "computing"]
    return (Advice(title=title, text=f"{remedy}."),)


def _bottleneck(stage: StageSummary) -> tuple[Advice, ...]:
    part = largest_part(stage)
    if part.share < _MOST:
        return ()
    title = f"{stage.stage} takes {share(stage.share)} of the time, {share(part.share)} of it {part.name}"
    return (Advice(title=title, text=f"{part.remedy}."),)


def _queues(report: RunReport) -> tuple[Advice, ...]:
    waits = {stage.stage: (stage.scheduled_s or 0.0) + (stage.queued_s or 0.0) for stage in report.stages}
    stage = max(waits, key=lambda name: waits[name])
    wait = waits[stage]
    if wait < _QUEUE_S or wait < max(item.duration_s for item in report.stages):
        return ()
    return (
        Advice(
            title=f"A task of {stage} waited {wait:.1f} s for a worker, longer than any stage took",
            text="Raise [core] parallelism or the slots of its pool, or lower [scheduler] "
            "scheduler_idle_sleep_time.",
        ),
    )
