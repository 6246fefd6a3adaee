"""From Airflow's times and the stages' reports to what the pages show: pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from airflow_provider_aiopt.telemetry.reports import PROFILE, QUARANTINED_BY, STAGES, RunReport, StageReport
from airflow_provider_aiopt.telemetry.summary import build_run_report
from airflow_provider_aiopt.telemetry.timings import (
    SEGMENTS,
    Advice,
    ProfileLink,
    QuarantineCount,
    RunFacts,
    RunTimings,
    Segment,
    SegmentName,
    StageTimings,
    TaskFacts,
    TaskTimings,
)

_ENDED = ("success", "failed")
_UNKNOWN = "unknown"

_Key = tuple[str, int]


def build_run_timings(
    run: RunFacts,
    tasks: Sequence[TaskFacts],
    reports: Sequence[StageReport],
    *,
    now: datetime,
    unreadable: int = 0,
    advise: Callable[[RunReport], tuple[Advice, ...]] = lambda _: (),
) -> RunTimings:
    """Put together what is known of a run.

    A report of an earlier attempt than the task's present one does not count: its work is being done again.

    :param run: Airflow's facts of the run
    :param tasks: Airflow's facts of its task instances
    :param reports: the reports of its tasks; each names its task
    :param now: the time, for a run that has not ended
    :param unreadable: how many reports there are besides that could not be read
    :param advise: says what limits a run and what to do about it
    """
    instances = {(task.task_id, task.map_index): task for task in tasks}
    current = [report for report in reports if _is_current(report, instances)]
    report = build_run_report(current, task_times=tasks, queued_s=run.queued_s) if current else None
    rows = _reported_rows(report, instances) + _silent_rows(report, tasks)
    return RunTimings(
        dag_id=run.dag_id,
        run_id=run.run_id,
        pipeline=report.pipeline if report else run.dag_id,
        state=run.state,
        mode=_mode(report),
        started_at=run.started_at,
        ended_at=run.ended_at,
        wall_s=run_seconds(run, now),
        records_in=report.records_in if report else 0,
        results=report.results if report else 0,
        quarantined=report.quarantined if report else 0,
        stages=tuple(_stage_timings(report)),
        tasks=tuple(sorted(rows, key=_place(report))),
        quarantine=tuple(_quarantine(report)),
        advice=advise(report) if report else (),
        notes=tuple(_notes(run, tasks, report, unreadable)),
    )


def only_task(timings: RunTimings, task_id: str, map_index: int | None = None) -> RunTimings:
    """Return *timings* with the tasks of one id only; the stages remain those of the whole run.

    :param timings: a run
    :param task_id: the task
    :param map_index: one of its mapped tasks; None for all
    """

    def asked_for(task: str, index: int) -> bool:
        return task == task_id and map_index in {None, index}

    tasks = tuple(item for item in timings.tasks if asked_for(item.task_id, item.map_index))
    return timings.model_copy(update={"tasks": tasks})


def run_seconds(run: RunFacts, now: datetime) -> float:
    """Return how long *run* took, or has taken until *now*."""
    return _seconds(run.started_at, run.ended_at or now) or 0.0


def _is_current(report: StageReport, instances: Mapping[_Key, TaskFacts]) -> bool:
    instance = instances.get(_key(report))
    return instance is not None and _try(report) >= instance.try_number


def _key(report: StageReport) -> _Key:
    return (report.task.task_id, report.task.map_index) if report.task else ("", -1)


def _try(report: StageReport) -> int:
    return report.task.try_number if report.task else 0


def _mode(report: RunReport | None) -> Literal["staged", "streaming"] | None:
    if report is None:
        return None
    says_so = any(item.details.get("mode") == "streaming" for item in report.tasks)
    return "streaming" if says_so or report.overlapped or _several_stages(report) else "staged"


def _several_stages(report: RunReport | None) -> set[_Key]:
    """Return the tasks that ran several stages of a pipeline, side by side."""
    stages: dict[_Key, set[str]] = {}
    for item in report.tasks if report else ():
        stages.setdefault(_key(item), set()).update({item.stage}.intersection(STAGES))
    return {key for key, found in stages.items() if len(found) > 1}


def _stage_timings(report: RunReport | None) -> Iterator[StageTimings]:
    for summary in report.stages if report else ():
        group = [item for item in report.tasks if item.stage == summary.stage] if report else []
        yield StageTimings.model_validate(
            summary.model_dump() | {"batch_size": _batch_size(group), "gpu_utilisation": _gpu(group)}
        )


def _batch_size(group: Sequence[StageReport]) -> float | None:
    batches = sum(sum(report.batch_sizes.values()) for report in group)
    records = sum(size * count for report in group for size, count in report.batch_sizes.items())
    return records / batches if batches else None


def _gpu(group: Sequence[StageReport]) -> float | None:
    used = [(report.gpu_utilisation, report.wall_s) for report in group if report.gpu_utilisation is not None]
    wall_s = sum(wall for _, wall in used)
    return sum(share * wall for share, wall in used) / wall_s if wall_s else None


def _reported_rows(report: RunReport | None, instances: Mapping[_Key, TaskFacts]) -> list[TaskTimings]:
    rows: list[TaskTimings] = []
    begun: set[_Key] = set()
    streamed = _several_stages(report)
    for item in report.tasks if report else ():
        key = _key(item)
        # A task that ran several stages waited and started only once: with the first of them.
        before = {} if key in begun else _waits(instances[key]) | _start_up(instances[key], item)
        begun.add(key)
        rows.append(_row(instances[key], item.stage, item, before | _work(item, streamed=key in streamed)))
    return rows


def _silent_rows(report: RunReport | None, tasks: Sequence[TaskFacts]) -> list[TaskTimings]:
    """Return the rows of tasks that belong to a stage and have not reported."""
    reported = {_key(item) for item in report.tasks} if report else set()
    known = {item.task.task_id: item.stage for item in reversed(report.tasks) if item.task} if report else {}
    rows = []
    for task in tasks:
        stage = task.stage or known.get(task.task_id)
        if stage is not None and (task.task_id, task.map_index) not in reported:
            rows.append(_row(task, stage, None, _waits(task)))
    return rows


def _row(
    task: TaskFacts, stage: str, report: StageReport | None, seconds: Mapping[SegmentName, float | None]
) -> TaskTimings:
    return TaskTimings(
        stage=stage,
        task_id=task.task_id,
        map_index=task.map_index,
        try_number=task.try_number,
        state=task.state or "none",
        shard=report.shard if report else None,
        scheduled_at=task.scheduled_at,
        queued_at=task.queued_at,
        started_at=task.started_at,
        ended_at=task.ended_at,
        items=report.items_out if report else 0,
        quarantined=report.quarantined if report else 0,
        host=(report.host if report else "") or task.host,
        profile=_profile(report),
        segments=tuple(
            Segment(name=name, seconds=length)
            for name in SEGMENTS
            if (length := seconds.get(name)) is not None
        ),
    )


def _profile(report: StageReport | None) -> ProfileLink | None:
    """Return where a task's profile lies, as far as its report, which may say anything, tells."""
    try:
        return ProfileLink.model_validate(report.details[PROFILE]) if report else None
    except (KeyError, ValidationError):
        return None


def _waits(task: TaskFacts) -> dict[SegmentName, float | None]:
    return {
        "scheduled": _seconds(task.scheduled_at, task.queued_at),
        "queued": _seconds(task.queued_at, task.started_at),
    }


def _start_up(task: TaskFacts, report: StageReport) -> dict[SegmentName, float | None]:
    return {"start_up": _seconds(task.started_at, report.started_at)}


def _work(report: StageReport, *, streamed: bool) -> dict[SegmentName, float | None]:
    reads = not streamed or report.stage == STAGES[0]
    writes = not streamed or report.stage == STAGES[-1]
    waits = (0.0 if reads else report.wait_input_s) + (0.0 if writes else report.wait_output_s)
    return {
        "model_load": report.model_load_s,
        "reading": report.wait_input_s if reads else None,
        "waiting": waits if streamed else None,
        "computing": max(0.0, report.busy_s - report.model_load_s),
        "writing": report.wait_output_s if writes else None,
    }


def _place(report: RunReport | None) -> Callable[[TaskTimings], tuple[int, str, int]]:
    """Return the key that puts tasks into the order of the stages, and mapped ones into theirs."""
    reported = [summary.stage for summary in report.stages] if report else []
    # Stages that have yet to report follow, those of a pipeline in their own order.
    order = {name: place for place, name in enumerate(dict.fromkeys([*reported, *STAGES]))}
    return lambda row: (order.get(row.stage, len(order)), row.task_id, row.map_index)


def _quarantine(report: RunReport | None) -> list[QuarantineCount]:
    counts: Counter[tuple[str, str]] = Counter()
    for item in report.tasks if report else ():
        left = item.quarantined
        given = item.details.get(QUARANTINED_BY)
        for error, count in given.items() if isinstance(given, dict) else ():
            if isinstance(count, int) and 0 < count <= left:
                counts[item.stage, str(error)] += count
                left -= count
        counts[item.stage, _UNKNOWN] += left
    return [
        QuarantineCount(stage=stage, error=error, count=count)
        for (stage, error), count in counts.most_common()
        if count
    ]


def _notes(
    run: RunFacts, tasks: Sequence[TaskFacts], report: RunReport | None, unreadable: int
) -> Iterator[str]:
    if run.state not in _ENDED:
        yield "The run has not ended: a task reports when it ends, until then it has Airflow's times only."
    elif report is None:
        yield "No task of this run has reported a stage."
    reported = {_key(item) for item in report.tasks} if report else set()
    failed = sum(
        task.state == "failed" and task.stage is not None and (task.task_id, task.map_index) not in reported
        for task in tasks
    )
    if failed:
        yield f"{failed} failed tasks left no report as XCom; the workspace's folder reports may have theirs."
    if unreadable:
        yield (
            f"{unreadable} reports could not be read: they were written by another version of this package, "
            "or an XCom backend keeps them elsewhere."
        )


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    if begin is None or end is None:
        return None
    return max(0.0, (end - begin).total_seconds())  # two hosts' clocks may disagree
