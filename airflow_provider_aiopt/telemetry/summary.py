"""What a run's stage reports add up to: pure functions, without files and without a clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import combinations

from airflow_provider_aiopt.exceptions import ReportError
from airflow_provider_aiopt.telemetry.reports import (
    STAGES,
    RunReport,
    StageReport,
    StageSummary,
    TaskTimes,
)

_OVERLAP = 0.5  # stages of one process that share more than this part of the shorter one ran side by side


def build_run_report(
    reports: Sequence[StageReport],
    *,
    task_times: Sequence[TaskTimes] = (),
    queued_s: float | None = None,
    run_id: str | None = None,
    dag_id: str | None = None,
    results_uri: str | None = None,
    quarantine_uri: str | None = None,
) -> RunReport:
    """Add up the stage reports of one run.

    Of several attempts at the same work only the last counts.  The stages of a pipeline come in their own
    order; stages that were named by ``timed_stage`` are put among them by the time at which they began.

    :param reports: the stage reports of one run, in any order
    :param task_times: Airflow's own times of the run's tasks; they are matched by task, map index and try
    :param queued_s: how long the DAG run waited until the scheduler began it
    :param run_id: the run's name where the reports do not come from Airflow
    :param dag_id: DAG id where the reports do not come from Airflow
    :param results_uri: where the result files lie
    :param quarantine_uri: where the quarantine files lie
    :raises ReportError: if *reports* is empty
    """
    if not reports:
        raise ReportError("There are no stage reports to add up: no stage of the run has ended yet")
    reports = _last_attempts(reports)
    stages = _by_stage(reports)
    overlapped = _ran_side_by_side(reports)
    started, ended = min(r.started_at for r in reports), max(r.ended_at for r in reports)
    first_task = next((report.task for report in reports if report.task is not None), None)
    summaries = _summaries(stages, overlapped, _queue_times(reports, task_times))
    return RunReport(
        pipeline=", ".join(dict.fromkeys(report.pipeline for report in reports)),
        run_id=first_task.run_id if first_task else run_id or "",
        dag_id=first_task.dag_id if first_task else dag_id,
        started_at=started,
        ended_at=max(started, ended),
        wall_s=max(_seconds(started, ended) or 0.0, *(summary.duration_s for summary in summaries)),
        records_in=_records_in(stages),
        results=_results(stages),
        quarantined=sum(report.quarantined for report in reports),
        results_uri=results_uri,
        quarantine_uri=quarantine_uri,
        overlapped=overlapped,
        stages=summaries,
        tasks=tuple(report for group in stages.values() for report in group),
        task_times=tuple(task_times),
        queued_s=queued_s,
    )


_Work = tuple[str, str | None, str | None, int]


def _work(report: StageReport) -> _Work:
    """Return what two attempts at the same work have in common."""
    if report.task is None:
        return report.stage, report.shard, None, -1
    return report.stage, report.shard, report.task.task_id, report.task.map_index


def _last_attempts(reports: Iterable[StageReport]) -> list[StageReport]:
    def attempt(report: StageReport) -> tuple[int, datetime]:
        return report.task.try_number if report.task else 0, report.started_at

    last = {_work(report): report for report in sorted(reports, key=attempt)}
    return sorted(last.values(), key=lambda r: (r.started_at, _rank(r.stage), *map(str, _work(r))))


def _rank(stage: str) -> int:
    """Place of a pipeline's stage among stages that began at the same time; others follow."""
    return STAGES.index(stage) if stage in STAGES else len(STAGES)


def _by_stage(reports: Sequence[StageReport]) -> dict[str, list[StageReport]]:
    """Group *reports*, which are ordered by start, and put the groups into the order of the run."""
    groups: dict[str, list[StageReport]] = {}
    for report in reports:
        groups.setdefault(report.stage, []).append(report)
    known = [stage for stage in STAGES if stage in groups]
    begins: dict[str, datetime] = {}
    latest = reports[0].started_at
    for stage in known:  # clocks of two hosts may disagree: a pipeline's stages never change places
        latest = begins[stage] = max(latest, groups[stage][0].started_at)
    ordered = sorted(groups, key=lambda stage: (begins.get(stage, groups[stage][0].started_at), _rank(stage)))
    return {stage: groups[stage] for stage in ordered}


def _ran_side_by_side(reports: Sequence[StageReport]) -> bool:
    processes: dict[tuple[str, int], list[StageReport]] = {}
    for report in reports:
        if report.pid:
            processes.setdefault((report.host, report.pid), []).append(report)
    return any(
        first.stage != second.stage and _overlap(first, second) > _OVERLAP
        for group in processes.values()
        for first, second in combinations(group, 2)
    )


def _overlap(first: StageReport, second: StageReport) -> float:
    shared = _seconds(max(first.started_at, second.started_at), min(first.ended_at, second.ended_at)) or 0.0
    shorter = min((_seconds(report.started_at, report.ended_at) or 0.0) for report in (first, second))
    return shared / shorter if shorter else 0.0


def _summaries(
    stages: Mapping[str, Sequence[StageReport]],
    overlapped: bool,
    queue_times: Mapping[_Work, tuple[float | None, float | None]],
) -> tuple[StageSummary, ...]:
    durations = {stage: _duration(group) for stage, group in stages.items()}
    busy = {stage: sum(report.busy_s for report in group) for stage, group in stages.items()}
    weights = busy if overlapped and any(busy.values()) else durations
    total = sum(weights.values())
    # Stages that all took no measurable time share it evenly, so that shares always add up to one.
    shares = {stage: weight / total if total else 1 / len(stages) for stage, weight in weights.items()}
    longest = max(shares, key=lambda stage: (shares[stage], busy[stage]))
    return tuple(
        _summary(
            stage,
            group,
            duration_s=durations[stage],
            share=shares[stage],
            bottleneck=stage == longest,
            queue_times=queue_times,
        )
        for stage, group in stages.items()
    )


def _summary(
    stage: str,
    group: Sequence[StageReport],
    *,
    duration_s: float,
    share: float,
    bottleneck: bool,
    queue_times: Mapping[_Work, tuple[float | None, float | None]],
) -> StageSummary:
    task_s = sum(report.wall_s for report in group)
    items = sum(report.items_out for report in group)
    resumed = min(items, sum(report.resumed_items for report in group))
    waits = [queue_times.get(_work(report), (None, None)) for report in group]
    return StageSummary(
        stage=stage,
        tasks=len(group),
        failed=sum(1 for report in group if report.state == "failed"),
        duration_s=duration_s,
        share=share,
        task_s=task_s,
        busy_s=sum(report.busy_s for report in group),
        wait_input_s=sum(report.wait_input_s for report in group),
        wait_output_s=sum(report.wait_output_s for report in group),
        model_load_s=sum(report.model_load_s for report in group),
        items=items,
        resumed=resumed,
        items_per_s=(items - resumed) / duration_s if duration_s else 0.0,
        quarantined=sum(report.quarantined for report in group),
        bytes_in=sum(report.bytes_in for report in group),
        bytes_out=sum(report.bytes_out for report in group),
        cache_hits=sum(report.cache_hits for report in group),
        cache_misses=sum(report.cache_misses for report in group),
        cache_errors=sum(report.cache_errors for report in group),
        cpu_utilisation=sum(r.cpu_utilisation * r.wall_s for r in group) / task_s if task_s else 0.0,
        peak_memory_bytes=max(report.peak_memory_bytes for report in group),
        scheduled_s=max((wait for wait, _ in waits if wait is not None), default=None),
        queued_s=max((wait for _, wait in waits if wait is not None), default=None),
        bottleneck=bottleneck,
    )


def _duration(group: Sequence[StageReport]) -> float:
    """Return the span of the stage's tasks, by the monotonic clock where one task is all of it."""
    longest = max(report.wall_s for report in group)
    if len(group) == 1:
        return longest
    span = _seconds(min(r.started_at for r in group), max(r.ended_at for r in group)) or 0.0
    return max(span, longest)  # a wall clock may have been set back meanwhile


def _queue_times(
    reports: Sequence[StageReport], task_times: Iterable[TaskTimes]
) -> dict[_Work, tuple[float | None, float | None]]:
    """Find how long each report's task was scheduled and queued.

    Where one task ran several stages it waited only once: the wait belongs to the stage that began first.
    """
    times = {(item.task_id, item.map_index, item.try_number): item for item in task_times}
    waits: dict[_Work, tuple[float | None, float | None]] = {}
    for report in reports:
        if report.task is None:
            continue
        task = report.task
        if item := times.pop((task.task_id, task.map_index, task.try_number), None):
            waits[_work(report)] = (
                _seconds(item.scheduled_at, item.queued_at),
                _seconds(item.queued_at, item.started_at),
            )
    return waits


def _records_in(stages: Mapping[str, Sequence[StageReport]]) -> int:
    entrance = STAGES[0] if STAGES[0] in stages else next(iter(stages))
    return sum(report.items_in for report in stages[entrance])


def _results(stages: Mapping[str, Sequence[StageReport]]) -> int:
    if STAGES[-1] in stages:
        return sum(report.items_out for report in stages[STAGES[-1]])
    if any(stage in stages for stage in STAGES):
        return 0  # the pipeline has not come to its last stage
    return sum(report.items_out for report in stages[list(stages)[-1]])


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    if begin is None or end is None:
        return None
    return max(0.0, (end - begin).total_seconds())  # two hosts' clocks may disagree
