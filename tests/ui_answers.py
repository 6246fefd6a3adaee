"""Answers of the routes behind the pages, as the pages' tests serve them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

STAGES = ("ingest", "preprocess", "inference", "postprocess")
BEGAN = datetime(2026, 6, 15, 10, 0, tzinfo=UTC)
SPLIT = {"start_up": 0.06, "model_load": 0.04, "reading": 0.12, "computing": 0.7, "writing": 0.08}

Answer = dict[str, Any]


def at(second: float) -> str:
    """Return the time so many seconds after the run began."""
    return (BEGAN + timedelta(seconds=second)).isoformat()


def stage(name: str, duration_s: float, share: float, **more: Any) -> Answer:
    """Return one stage's summary."""
    summary: Answer = {
        "stage": name,
        "tasks": 1,
        "failed": 0,
        "duration_s": duration_s,
        "share": share,
        "task_s": duration_s,
        "busy_s": 0.8 * duration_s,
        "wait_input_s": 0.15 * duration_s,
        "wait_output_s": 0.05 * duration_s,
        "model_load_s": 0.0,
        "items": 1990,
        "resumed": 0,
        "items_per_s": 1990 / duration_s,
        "quarantined": 0,
        "bytes_in": 52_428_800,
        "bytes_out": 1_258_291,
        "cache_hits": 0,
        "cache_misses": 0,
        "cache_errors": 0,
        "cpu_utilisation": 0.62,
        "gpu_utilisation": None,
        "peak_memory_bytes": 734_003_200,
        "scheduled_s": 0.4,
        "queued_s": 1.25,
        "bottleneck": False,
        "batch_size": None,
    }
    return summary | more


def task(name: str, began_s: float, length_s: float, *, map_index: int = -1, **more: Any) -> Answer:
    """Return one task's times; it waited 1.5 s before."""
    segments = [{"name": "scheduled", "seconds": 0.5}, {"name": "queued", "seconds": 1.0}]
    segments += [{"name": part, "seconds": round(length_s * share, 4)} for part, share in SPLIT.items()]
    facts: Answer = {
        "stage": name,
        "task_id": name,
        "map_index": map_index,
        "try_number": 1,
        "state": "success",
        "shard": f"shard-{max(map_index, 0):05d}",
        "scheduled_at": at(began_s - 1.5),
        "queued_at": at(began_s - 1.0),
        "started_at": at(began_s),
        "ended_at": at(began_s + length_s),
        "items": 1990,
        "quarantined": 0,
        "host": "worker-1",
        "segments": segments,
    }
    return facts | more


def run(**more: Any) -> Answer:
    """Return a finished run of four stages, one task each; *more* replaces parts of it."""
    answer: Answer = {
        "dag_id": "image_classification",
        "run_id": "manual__2026-06-15T10:00:00+00:00",
        "pipeline": "photos",
        "state": "success",
        "mode": "staged",
        "started_at": at(0),
        "ended_at": at(31.4),
        "wall_s": 31.4,
        "records_in": 2000,
        "results": 1990,
        "quarantined": 10,
        "stages": [
            stage("ingest", 2.41, 0.0856),
            stage("preprocess", 6.32, 0.2244, quarantined=10, cpu_utilisation=0.97),
            stage(
                "inference",
                18.2,
                0.6463,
                bottleneck=True,
                batch_size=32.0,
                gpu_utilisation=0.41,
                model_load_s=0.73,
            ),
            stage("postprocess", 1.23, 0.0437),
        ],
        "tasks": [
            task("ingest", 1.5, 2.41),
            task("preprocess", 5.5, 6.32, quarantined=10),
            task("inference", 13.4, 18.2, map_index=0),
            task("postprocess", 33.2, 1.23),
        ],
        "quarantine": [
            {"stage": "preprocess", "error": "ImageDecodeError", "count": 8},
            {"stage": "preprocess", "error": "RecordTooLargeError", "count": 2},
        ],
        "advice": [
            {
                "title": "Inference waits for nothing and computes 70 % of its time",
                "text": "A larger batch size or a GPU shortens it; more workers for the other stages do not.",
            }
        ],
        "notes": [],
    }
    return answer | more


def mapped_run(shards: int) -> Answer:
    """Return a run whose inference was mapped over *shards* tasks on eight workers."""
    tasks = [task("ingest", 1.5, 2.4)]
    for index in range(shards):
        length = 3.0 + (index * 7919 % 100) / 40 + (9.0 if index % 97 == 5 else 0.0)
        began = 6.0 + (index // 8) * 5.5
        tasks.append(task("inference", began, length, map_index=index, host=f"worker-{index % 8}", items=200))
    ended = 6.0 + shards / 8 * 5.5 + 10
    tasks.append(task("postprocess", ended, 4.1))
    stages = [
        stage("ingest", 2.4, 0.0063),
        stage(
            "inference", ended - 6, 0.983, tasks=shards, bottleneck=True, batch_size=31.7, items=200 * shards
        ),
        stage("postprocess", 4.1, 0.0107),
    ]
    return run(stages=stages, tasks=tasks, advice=[], records_in=200 * shards, results=200 * shards)


def curve(name: str, tasks: int, t_s: list[float], began_s: float, ended_s: float, **columns: Any) -> Answer:
    """Return a curve of hardware whose columns are known between two times only."""

    def known(value: float, at_s: float, place: int) -> float | None:
        return value * (0.85 + 0.15 * (place % 3) / 2) if began_s < at_s <= ended_s else None

    empty: Answer = {"host_cpu": [], "gpu_utilisation": [], "gpu_memory_bytes": []}
    filled = {
        column: [known(value, at_s, place) for place, at_s in enumerate(t_s)]
        for column, value in columns.items()
    }
    return {"name": name, "tasks": tasks, "t_s": t_s, **empty, **filled}


def hardware(shards: int = 1) -> Answer:
    """Return the hardware of a run over time, whose inference used a GPU in *shards* tasks."""
    t_s = [round(1.5 + 0.5 * step, 1) for step in range(1, 60)]
    mib = 2**20
    used = {"host_cpu": 0.6, "cpu_cores": 1.9, "memory_bytes": 420 * mib}
    gpu = {"gpu_utilisation": 0.55, "gpu_memory_bytes": 5200 * mib}
    curves = [
        curve("ingest", 1, t_s, 1.5, 4, **used | {"cpu_cores": 0.6}),
        curve("preprocess", 1, t_s, 5.5, 12, **used),
        curve(
            "inference",
            shards,
            t_s,
            13,
            30,
            **used | gpu | {"cpu_cores": 1.2 * shards, "memory_bytes": 700 * mib * shards},
        ),
    ]
    indexes = [("ingest", -1), ("preprocess", -1), *(("inference", index) for index in range(shards))]
    return {
        "origin": "run",
        "origin_at": at(0),
        "curves": curves,
        "tasks": [{"task_id": task_id, "map_index": index} for task_id, index in indexes],
        "fullest": {
            "task_id": "inference",
            "map_index": 0,
            "memory_bytes": 700 * mib,
            "limit_bytes": 8192 * mib,
        },
        "unread": 0,
    }


def task_hardware(name: str = "inference") -> Answer:
    """Return the hardware of one task over time, without a GPU."""
    t_s = [float(second) for second in range(1, 19)]
    only = curve(name, 1, t_s, 0, 18, cpu_cores=1.2, host_cpu=0.6, memory_bytes=700 * 2**20)
    return hardware() | {"origin": "task", "curves": [only], "tasks": [{"task_id": name, "map_index": 0}]}


def trend(runs: int = 20) -> Answer:
    """Return a DAG's trend, in whose last run inference was slower."""
    lengths = [{"ingest": 2.4, "preprocess": 6.0, "inference": 15.0, "postprocess": 1.2} for _ in range(runs)]
    for index, of_run in enumerate(lengths):
        for name in of_run:
            of_run[name] = round(of_run[name] * (1 + 0.04 * ((index * 37 + len(name)) % 5 - 2)), 3)
    lengths[-1]["inference"] = 27.5
    rows = [
        {
            "run_id": f"scheduled__2026-06-{index + 1:02d}T10:00:00+00:00",
            "state": "failed" if index == 7 else "success",
            "started_at": (BEGAN + timedelta(days=index - runs)).isoformat(),
            "wall_s": round(sum(stages.values()) + 4, 3),
            "records_in": 2000,
            "results": 1990,
            "quarantined": 10,
            "stages": stages,
        }
        for index, stages in enumerate(lengths)
    ]
    stages = {
        name: {
            "p50": p50,
            "p95": p95,
            "latest": lengths[-1][name],
            "change": "slower" if name == "inference" else None,
        }
        for name, p50, p95 in (
            ("ingest", 2.4, 2.59),
            ("preprocess", 6.0, 6.48),
            ("inference", 15.0, 16.2),
            ("postprocess", 1.2, 1.3),
        )
    }
    return {"dag_id": "image_classification", "runs": rows, "stages": stages}


def pipelines() -> Answer:
    """Return three pipelines: one with a history, one that runs, one that never ran."""
    last = {"run_id": "manual__1", "state": "success", "started_at": at(0), "wall_s": 31.4}
    return {
        "pipelines": [
            {
                "dag_id": "image_classification",
                "pipeline": "photos",
                "last_run": last,
                "slowest_stage": "inference",
                "trend": [29.5, 30.2, 28.9, 31.0, 30.4, 44.0, 31.4],
            },
            {
                "dag_id": "text_embedding",
                "pipeline": "reviews",
                "last_run": last | {"state": "running", "wall_s": 4210.0},
                "slowest_stage": "preprocess",
                "trend": [4100.0, 3900.0, 4010.0],
            },
            {"dag_id": "new", "pipeline": "new", "last_run": None, "slowest_stage": None, "trend": []},
        ]
    }
