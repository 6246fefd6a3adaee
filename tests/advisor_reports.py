"""Run reports of pipelines that are well, and of one for each cause that the advisor knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from airflow_provider_aiopt.telemetry.reports import RunReport, StageReport, TaskTimes
from airflow_provider_aiopt.telemetry.summary import build_run_report
from airflow_provider_aiopt.telemetry.testing import EPOCH, make_stage_report, make_task

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "ingest": {
        "execution.shards": 1,
        "execution.workers": 4,
        "source.format": "files",
        "source.readers": 4,
    },
    "preprocess": {"execution.workers": 4, "preprocess.kind": "image", "cache.uri": "/var/cache/prepared"},
    "inference": {
        "execution.batch_size": 32,
        "execution.workers": 4,
        "model.device": "auto",
        "model.runtime": "onnxruntime",
    },
    "postprocess": {"postprocess.top_k": 5},
}
CORES = 4
ITEMS = 640


def hardware(own: float, others: float = 0.0, **levels: float) -> dict[str, Any]:
    """Return a hardware account in which the process kept *own* cores busy and others *others*."""
    named = {"cpu_cores": own, "host_cpu": (own + others) / CORES, **levels}
    return {
        "interval_s": 1.0,
        "samples": 10,
        **{name: {"mean": value, "max": value} for name, value in named.items()},
    }


def stage(
    name: str,
    *,
    start: float = 0.0,
    wall_s: float = 10.0,
    own: float | None = None,
    others: float = 0.0,
    settings: Mapping[str, Any] | None = None,
    evidence: Mapping[str, Any] | None = None,
    levels: Mapping[str, float] | None = None,
    **fields: Any,
) -> StageReport:
    """Return a stage's report; where nothing else is said it keeps all cores busy for ten seconds."""
    waits = fields.get("wait_input_s", 0.0) + fields.get("wait_output_s", 0.0)
    cores = CORES if own is None else own
    known = {
        "settings": {**SETTINGS[name], **(settings or {})},
        "cores": CORES,
        "host_cores": CORES,
        **(evidence or {}),
    }
    defaults = {
        "items_in": ITEMS,
        "items_out": ITEMS,
        "batch_sizes": {32: ITEMS // 32},
        "cpu_s": cores * max(0.0, wall_s - waits),
        "hardware": hardware(cores, others, **(levels or {})),
        "evidence": known,
        "pid": 1,
        "bytes_out": ITEMS * 1000,
        "cache_hits": ITEMS if name == "preprocess" else 0,
    }
    return make_stage_report(name, start=start, wall_s=wall_s, **{**defaults, **fields})


def run(*, times: tuple[TaskTimes, ...] = (), **changes: Mapping[str, Any]) -> RunReport:
    """Return a staged run of one process: one stage after the other, with what *changes* says of some."""
    reports, start = [], 0.0
    for name, usual in _USUAL.items():
        made = stage(name, start=start, **{**usual, **changes.get(name, {})})
        reports.append(made)
        start += made.wall_s
    return build_run_report(reports, task_times=times)


_CALLS = {"calls": 20, "call_s": 36.0}
_USUAL: Mapping[str, Mapping[str, Any]] = {
    "ingest": {"wall_s": 1.0, "evidence": {"reads": ITEMS, "read_s": 0.5, "setup_s": 0.9}},
    "preprocess": {"evidence": {"calls": 20, "call_s": 19.0, "setup_s": 0.1}},
    "inference": {"evidence": {**_CALLS, "setup_s": 0.2}, "details": {"threads": 4}},
    "postprocess": {"wall_s": 0.5, "own": 1.0, "evidence": {"setup_s": 0.4}},
}


def healthy() -> RunReport:
    """Return a run that nothing is wrong with."""
    return run()


def streamed(**changes: Mapping[str, Any]) -> RunReport:
    """Return a streamed run: all stages side by side, and each as busy as *changes* says."""
    busy = {"ingest": 0.5, "preprocess": 4.0, "inference": 5.0, "postprocess": 0.4}
    reports = []
    for name, seconds in busy.items():
        given = dict(changes.get(name, {}))
        spent = given.pop("busy_s", seconds)
        fields = {"busy_s": spent, "wait_input_s": 10 - spent, "cpu_s": 4 * spent, "own": 4.0}
        fields["details"] = {"threads": 4, "mode": "streaming"}
        fields["evidence"] = _USUAL[name]["evidence"]
        reports.append(stage(name, **{**fields, **given}))
    return build_run_report(reports)


def in_airflow(
    *, gap_s: float = 0.3, start_up_s: float = 0.5, pool: str = "default_pool", **stages: Mapping[str, Any]
) -> RunReport:
    """Return a run of four operators in Airflow, each of one task.

    :param gap_s: from a task's end until the next one is found runnable
    :param start_up_s: from a task's start to that of its stage
    """
    reports, times, moment = [], [], 0.0
    for number, (name, usual) in enumerate(_USUAL.items()):
        fields = {**usual, **stages.get(name, {})}
        made = stage(name, start=moment + start_up_s, task=make_task(name), **{**fields, "pid": number + 1})
        ended = moment + start_up_s + made.wall_s
        times.append(task_times(name, moment, moment, ended, pool=pool))
        reports.append(made)
        moment = ended + gap_s
    return build_run_report(reports, task_times=times)


def task_times(
    task_id: str, scheduled: float, started: float, ended: float, *, index: int = -1, pool: str | None = None
) -> TaskTimes:
    """Return Airflow's times of a task, each in seconds after the epoch of the reports."""
    return TaskTimes(
        task_id=task_id,
        map_index=index,
        scheduled_at=EPOCH + timedelta(seconds=scheduled),
        queued_at=EPOCH + timedelta(seconds=scheduled),
        started_at=EPOCH + timedelta(seconds=started),
        ended_at=EPOCH + timedelta(seconds=ended),
        state="success",
        pool=pool,
    )


def mapped(
    *, tasks: int, at_once: int, each_s: float, start_up_s: float, cpu_s: float, pool: str = "default_pool"
) -> RunReport:
    """Return a run of *tasks* inference tasks, of which *at_once* ran at once, after an ingest task."""
    reports = [stage("ingest", wall_s=1.0, task=make_task("ingest"), settings={"execution.shards": tasks})]
    times = [task_times("ingest", 0, 0, 1)]
    for index in range(tasks):
        began = 1 + index // at_once * (start_up_s + each_s)
        reports.append(
            stage(
                "inference",
                start=began + start_up_s,
                wall_s=each_s,
                shard=f"{index:05d}",
                task=make_task("inference", index),
                cpu_s=cpu_s,
                pid=100 + index,
                items_in=10,
                items_out=10,
                batch_sizes={10: 1},
                evidence={"setup_s": 0.2},
                model_load_s=0.2,
                details={"threads": 1},
            )
        )
        ended = began + start_up_s + each_s
        times.append(task_times("inference", 1, began, ended, index=index, pool=pool))
    return build_run_report(reports, task_times=times)


_CUSTOM = {"preprocess.kind": "custom", "preprocess.processes": False}
_DEVICE = {"threads": 2, "device_busy": 0.4}
_WIDE = {
    "columns": [{"name": "x", "dtype": "float64", "row_bytes": 8000, "holds": "uint8"}],
    "write_s": 10.0,
    "user_s": 1.0,
    "system_s": 3.0,
}

SICK: Mapping[str, Callable[[], RunReport]] = {
    "scheduling.idle-sleep": lambda: in_airflow(gap_s=5.0),
    "queueing.slots": lambda: mapped(
        tasks=8, at_once=1, each_s=5.0, start_up_s=1.0, cpu_s=0.5, pool="records"
    ),
    "queueing.active-runs": lambda: run(preprocess={"own": 1.0}, inference={"own": 1.0}).model_copy(
        update={"queued_s": 60.0}
    ),
    "startup.tasks": lambda: mapped(tasks=32, at_once=4, each_s=0.5, start_up_s=2.0, cpu_s=0.4),
    "startup.commits": lambda: run(
        ingest={
            "settings": {"execution.shards": 2000},
            "wall_s": 9.0,
            "wait_output_s": 8.0,
            "evidence": {"commits": 2000, "commit_s": 8.5, "setup_s": 0.5},
        },
        inference={
            "wall_s": 9.0,
            "wait_output_s": 8.0,
            "evidence": {"commits": 2000, "commit_s": 8.5, "setup_s": 0.5},
        },
    ),
    "startup.one-task": lambda: in_airflow(gap_s=2.0, start_up_s=4.0),
    "startup.cold-worker": lambda: build_run_report(
        (slow := in_airflow()).tasks,
        task_times=[
            task_times(item.task_id, 0, -9 if item.task_id == "ingest" else _start(item), _end(item))
            for item in slow.task_times
        ],
    ),
    "storage.readers": lambda: run(
        ingest={
            "wall_s": 20.0,
            "wait_input_s": 19.5,
            "cpu_s": 0.5,
            "evidence": {"reads": ITEMS, "read_s": 76.0, "setup_s": 0.2},
        }
    ),
    "storage.closer": lambda: run(
        ingest={
            "wall_s": 20.0,
            "wait_input_s": 19.5,
            "cpu_s": 0.5,
            "settings": {"source.readers": 64},
            "evidence": {"reads": ITEMS, "read_s": 1200.0, "setup_s": 0.2},
        }
    ),
    "storage.between-stages": lambda: run(preprocess={"wait_output_s": 6.0}, inference={"wait_input_s": 5.0}),
    "preprocessing.workers": lambda: run(
        preprocess={"own": 1.0, "settings": {"execution.workers": 1}},
        inference={"own": 1.0, "settings": {"execution.workers": 1}, "details": {"threads": 1}},
        ingest={"settings": {"execution.workers": 1, "source.readers": 1}},
    ),
    "preprocessing.interpreter-lock": lambda: run(preprocess={"own": 1.05, "settings": _CUSTOM}),
    "preprocessing.cold-cache": lambda: run(preprocess={"cache_hits": 0, "cache_misses": ITEMS}),
    "preprocessing.no-cache": lambda: run(preprocess={"settings": {"cache.uri": None}, "cache_hits": 0}),
    "inference.batch-size": lambda: run(
        preprocess={"batch_sizes": {1: ITEMS}, "evidence": {"calls": ITEMS, "call_s": 2.0, "setup_s": 0.2}},
        inference={
            "batch_sizes": {1: ITEMS},
            "settings": {"execution.batch_size": 1},
            "evidence": {"calls": ITEMS, "call_s": 2.0, "setup_s": 0.2},
        },
    ),
    "inference.threads": lambda: run(
        inference={
            "settings": {"model.threads": 64},
            "evidence": {**_CALLS, "user_s": 14.0, "voluntary_switches": 10**6},
        }
    ),
    "inference.device-batch": lambda: run(
        inference={
            "settings": {"execution.batch_size": 2},
            "details": {"threads": 2, "device_busy": 0.99},
            "evidence": {"calls": 300, "call_s": 18.0},
        }
    ),
    "inference.precision": lambda: run(
        inference={
            "settings": {"model.runtime": "torch"},
            "details": {"threads": 2, "device_busy": 0.99},
            "evidence": {"calls": 300, "call_s": 18.0},
        }
    ),
    "device.starving": lambda: run(inference={"details": _DEVICE, "own": 0.5}),
    "transfer.wide-columns": lambda: run(
        preprocess={"settings": _CUSTOM, "wait_output_s": 6.0, "evidence": _WIDE},
        inference={"wait_input_s": 5.0},
    ),
    "transfer.normalised-by-host": lambda: run(
        inference={
            "details": {**_DEVICE, "device_busy": 0.99, "normalisation": "host: no onnx"},
            "evidence": {"calls": 20, "call_s": 4.0},
        }
    ),
    "postprocessing.top-k": lambda: run(
        postprocess={"wall_s": 10.0, "settings": {"postprocess.top_k": 1000}}
    ),
    "neighbours.crowded": lambda: run(
        preprocess={"own": 2.0, "others": 2.0}, inference={"own": 2.0, "others": 2.0}
    ),
    "neighbours.throttled": lambda: run(
        preprocess={"own": 1.0, "levels": {"cpu_throttled": 0.9}},
        inference={"own": 1.0, "levels": {"cpu_throttled": 0.9}},
    ),
}
"""A run with each cause, by the name of the rule that is to find it."""

WELL: Mapping[str, Callable[[], RunReport]] = {
    "staged": healthy,
    "streamed": streamed,
    "in Airflow": in_airflow,
    "mapped": lambda: mapped(tasks=4, at_once=4, each_s=30.0, start_up_s=0.5, cpu_s=29.0),
}
"""Runs that no setting makes faster."""


def _start(times: TaskTimes) -> float:
    assert times.started_at is not None
    return (times.started_at - EPOCH).total_seconds()


def _end(times: TaskTimes) -> float:
    assert times.ended_at is not None
    return (times.ended_at - EPOCH).total_seconds()
