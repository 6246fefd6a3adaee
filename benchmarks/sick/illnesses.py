"""The illnesses, one to a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.sick import inputs
from benchmarks.sick.airflow import AirflowIllness
from benchmarks.sick.case import Illness
from benchmarks.sick.local import LocalIllness

_NAME = "pipeline"
_MODEL = {"uri": "builtin:efficientnet-lite0-int8", "device": "cpu"}


def _images(folder: Path, **execution: Any) -> dict[str, Any]:
    return {
        "name": _NAME,
        "source": {"uri": str(folder)},
        "model": _MODEL,
        "execution": execution,
    }


def _rows(count: int, **execution: Any) -> dict[str, Any]:
    columns = [f"c{column}" for column in range(inputs.COLUMNS)]
    return {
        "name": _NAME,
        "source": {"uri": str(inputs.rows(count)), "format": "jsonl", "columns": columns},
        "preprocess": {"kind": "tabular"},
        "model": {"uri": str(inputs.linear_model(inputs.COLUMNS)), "device": "cpu"},
        "postprocess": {"kind": "raw"},
        "execution": execution,
    }


def _custom(source: Path, transform: str, model: Path, **execution: Any) -> dict[str, Any]:
    return {
        "name": _NAME,
        "source": {"uri": str(source)},
        "preprocess": {"kind": "custom", "transform": f"benchmarks.sick.transforms.{transform}"},
        "model": {"uri": str(model), "device": "cpu"},
        "postprocess": {"kind": "raw"},
        "execution": execution,
    }


ILLNESSES: tuple[Illness, ...] = (
    LocalIllness(
        "slow storage",
        "storage.readers",
        "an HTTP server that waits 80 ms before each of 240 objects",
        spec=lambda _: _images(inputs.small_photographs(240)),
        storage=lambda: (inputs.small_photographs(240), 0.08),
    ),
    LocalIllness(
        "one decode worker",
        "preprocessing.workers",
        "execution.workers is 1 on two cores",
        spec=lambda _: _images(inputs.small_photographs(600), workers=1),
    ),
    LocalIllness(
        "batches of one",
        "inference.batch-size",
        "execution.batch_size is 1 for rows of eight numbers",
        spec=lambda _: _rows(3000, batch_size=1),
    ),
    LocalIllness(
        "cold cache",
        "preprocessing.cold-cache",
        "the cache lies on a disk that lives as long as the run",
        spec=lambda folder: {
            **_images(inputs.large_photographs(160)),
            "cache": {"uri": str(folder / "scratch")},
        },
        warm=True,
    ),
    LocalIllness(
        "tiny shards",
        "startup.commits",
        "150 shards of 200 rows each",
        spec=lambda _: _rows(30_000, batch_size=64, shards=150),
    ),
    LocalIllness(
        "oversubscribed threads",
        "inference.threads",
        "model.threads is 64 on two cores",
        spec=lambda _: {
            **_images(inputs.small_photographs(240), batch_size=2),
            "model": {**_MODEL, "threads": 64},
        },
    ),
    LocalIllness(
        "noisy neighbour",
        "neighbours.crowded",
        "another process burns a core",
        spec=lambda _: _images(inputs.small_photographs(1200)),
        mode="streaming",
        neighbours=1,
    ),
    LocalIllness(
        "int64 made float64",
        "transfer.wide-columns",
        "a transform makes 64-bit floats of bytes",
        spec=lambda _: _custom(inputs.raw_pixels(600), "Planes", inputs.mean_model()),
    ),
    LocalIllness(
        "Python loop",
        "preprocessing.interpreter-lock",
        "a transform that loops over bytes in Python",
        spec=lambda _: _custom(inputs.blobs(400), "Checksums", inputs.linear_model(4)),
    ),
    AirflowIllness(
        "model loaded per shard",
        "startup.tasks",
        "48 photographs in 12 shards: 24 tasks, 12 of which load the model",
        dag_id="image_classification",
        params={"shards": 12},
        images=48,
        environment={
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        },
    ),
    AirflowIllness(
        "pool of one",
        "queueing.slots",
        "six tasks that wait for storage, in a pool of one slot",
        dag_id="photographs",
        params={"shards": 6},
        images=60,
        wait_s=0.6,
        pools={"records": 1},
        environment={
            "AIRFLOW__CORE__PARALLELISM": "6",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        },
    ),
    AirflowIllness(
        "scheduler asleep",
        "scheduling.idle-sleep",
        "[scheduler] scheduler_idle_sleep_time is 5",
        dag_id="image_classification",
        params={"shards": 1},
        images=12,
        environment={
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "5",
        },
    ),
)


def by_name(name: str) -> Illness:
    """Return an illness.

    :raises SystemExit: if there is none of this name
    """
    for illness in ILLNESSES:
        if illness.name == name:
            return illness
    raise SystemExit(f"There is no illness {name!r}: {', '.join(item.name for item in ILLNESSES)}")
