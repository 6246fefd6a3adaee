"""Fill an Airflow's database with runs that look as if pipelines had run for a long time.

Run by ``scripts/measure_page_load.py`` with the ``AIRFLOW_HOME`` of an Airflow of its own, in ``scripts``::

    python -m page_load.rows --dag measured --runs 10000 --shards 500

Rows go in through Airflow's own models.  Each ordinary run has four tasks with a stage report each; one run,
``wide``, has its preprocessing and inference mapped over so many shards, each of which left a report and a
hardware account of full length.
"""

from __future__ import annotations

import argparse
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.configuration import conf
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import create_engine, insert, select

from airflow_provider_aiopt.telemetry.reports import STAGES, StageReport, TaskIdentity
from airflow_provider_aiopt.telemetry.task_hardware import MAX_POINTS, TaskHardware
from page_load import WIDE

_OPERATORS = ("IngestOperator", "PreprocessOperator", "InferenceOperator", "PostprocessOperator")
_MAPPED = ("preprocess", "inference")
_RUNS = DagRun.__table__
_BATCH = 250  # runs per transaction: Airflow's components write between them
_NEWEST = datetime(2026, 11, 1, tzinfo=UTC)
_MIB = 2**20

Row = dict[str, Any]


def main() -> None:
    """Fill it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dag", required=True)
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--shards", type=int, required=True)
    options = parser.parse_args()
    first = _NEWEST - timedelta(minutes=options.runs)
    for begin in range(0, options.runs, _BATCH):
        numbers = range(begin, min(begin + _BATCH, options.runs))
        _put({f"run-{number:06}": first + timedelta(minutes=number) for number in numbers}, options.dag)
    _put({WIDE: _NEWEST}, options.dag, options.shards)


def _put(runs: dict[str, datetime], dag_id: str, shards: int = 0) -> None:
    engine = create_engine(conf.get_mandatory_value("database", "sql_alchemy_conn"))
    with engine.begin() as connection:
        connection.execute(insert(_RUNS), [_run(dag_id, run_id, began) for run_id, began in runs.items()])
        stored = select(_RUNS.c.run_id, _RUNS.c.id).where(_RUNS.c.dag_id == dag_id, _RUNS.c.run_id.in_(runs))
        keys = {row.run_id: row.id for row in connection.execute(stored)}
        tasks = [task for run_id, began in runs.items() for task in _tasks(dag_id, run_id, began, shards)]
        connection.execute(insert(TaskInstance.__table__), tasks)
        xcoms = [xcom for task in tasks for xcom in _xcoms(task, keys[task["run_id"]])]
        connection.execute(insert(XComModel.__table__), xcoms)


def _run(dag_id: str, run_id: str, began: datetime) -> Row:
    return {
        "dag_id": dag_id,
        "run_id": run_id,
        "logical_date": began,
        "run_after": began,
        "run_type": "manual",
        "state": "success",
        "queued_at": began,
        "start_date": began,
        "end_date": began + timedelta(seconds=50),
    }


def _tasks(dag_id: str, run_id: str, began: datetime, shards: int) -> Iterator[Row]:
    for place, (stage, operator) in enumerate(zip(STAGES, _OPERATORS, strict=True)):
        for index in range(shards) if shards and stage in _MAPPED else (-1,):
            scheduled = began + timedelta(seconds=10 * place + index % 7 / 3)
            started = scheduled + timedelta(seconds=1.5)
            yield {
                "id": uuid.uuid4(),
                "dag_id": dag_id,
                "run_id": run_id,
                "task_id": stage,
                "map_index": index,
                "try_number": 1,
                "max_tries": 0,
                "pool": "default_pool",
                "pool_slots": 1,
                "state": "success",
                "operator": operator,
                "hostname": f"worker-{index % 8}",
                "scheduled_dttm": scheduled,
                "queued_dttm": scheduled + timedelta(seconds=0.5),
                "start_date": started,
                "end_date": started + timedelta(seconds=8 + index % 11 / 5),
            }


def _xcoms(task: Row, key: int) -> Iterator[Row]:
    row = {"dag_run_id": key, **{name: task[name] for name in ("dag_id", "run_id", "task_id", "map_index")}}
    yield row | {"key": "stage_report", "value": _report(task)}
    if task["map_index"] >= 0:
        yield row | {"key": "stage_hardware", "value": _hardware(task)}


def _report(task: Row) -> Any:
    wall_s = (task["end_date"] - task["start_date"]).total_seconds() - 0.25
    report = StageReport(
        pipeline=task["dag_id"],
        stage=task["task_id"],
        shard=f"{max(task['map_index'], 0):05}",
        task=TaskIdentity(**{name: task[name] for name in ("dag_id", "run_id", "task_id", "map_index")}),
        started_at=task["start_date"] + timedelta(seconds=0.25),
        ended_at=task["end_date"],
        wall_s=wall_s,
        busy_s=0.8 * wall_s,
        wait_input_s=0.15 * wall_s,
        wait_output_s=0.05 * wall_s,
        items_in=1000,
        items_out=998 if task["task_id"] == "preprocess" else 1000,
        quarantined=2 if task["task_id"] == "preprocess" else 0,
        batch_sizes={8: 125},
        cpu_utilisation=0.6,
        peak_memory_bytes=400 * _MIB,
        host=task["hostname"],
        details={"threads": 2, "quarantined_by": {"DecodeError": 2}},
    )
    return report.model_dump(mode="json")


def _hardware(task: Row) -> Any:
    wall_s = (task["end_date"] - task["start_date"]).total_seconds()
    return TaskHardware(
        stages=(task["task_id"],),
        began_at=task["start_date"],
        offsets_s=tuple(round(wall_s * (n + 1) / MAX_POINTS, 3) for n in range(MAX_POINTS)),
        cpu_cores=tuple(1.2 + n % 5 / 10 for n in range(MAX_POINTS)),
        host_cpu=tuple(0.5 + n % 7 / 20 for n in range(MAX_POINTS)),
        memory_bytes=tuple((300 + n) * _MIB for n in range(MAX_POINTS)),
        memory_limit_bytes=2048 * _MIB,
    ).dump()


if __name__ == "__main__":
    main()
