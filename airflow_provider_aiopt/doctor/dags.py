"""What checks need to know of a deployment's DAGs, from serialized DAGs or from Airflow's API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_aiopt.deployment.options import DEFAULT_POOL

_SENSOR_SUFFIX = "Sensor"
_TEMPLATE = "{{"


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """A task of a DAG.

    :param task_id: its id
    :param kind: its operator's class
    :param pool: the pool that it waits in
    :param pool_slots: how many slots it takes there
    :param queue: its queue, None for the default one
    :param pokes: whether it may hold a worker slot while it waits: a sensor in poke mode, or one that starts
        another DAG and waits for it.  Whether it was made deferrable is not to be seen from here
    :param awaits: the DAG that it waits for, None for none or one that only a run will tell
    :param starts: whether it starts that DAG itself
    """

    task_id: str
    kind: str
    pool: str = DEFAULT_POOL
    pool_slots: int = 1
    queue: str | None = None
    pokes: bool = False
    awaits: str | None = None
    starts: bool = False


@dataclass(frozen=True, slots=True)
class DagFacts:
    """A DAG.

    :param dag_id: its id
    :param max_active_runs: how many runs may be active, None where that is not known
    :param max_active_tasks: how many tasks of a run may be active
    :param tasks: its tasks
    :param serialized: whether all of this is known; Airflow's API tells neither modes nor waits
    :param watches: whether a trigger starts its runs or its tasks, which then need a triggerer
    """

    dag_id: str
    max_active_runs: int | None
    max_active_tasks: int
    tasks: tuple[TaskFacts, ...] = ()
    watches: bool = False
    serialized: bool = True


def dag_from_serialized(
    data: Mapping[str, Any], *, max_active_runs: int | None, max_active_tasks: int
) -> DagFacts:
    """Read what Airflow keeps of a DAG in its metadata database.

    :param data: the content of ``serialized_dag.data``
    :param max_active_runs: the DAG's own, from the table of DAGs
    :param max_active_tasks: the same
    """
    dag = data["dag"]
    defaults = data.get("client_defaults", {}).get("tasks", {})
    tasks = [_unwrapped(task) for task in dag["tasks"]]
    return DagFacts(
        dag_id=dag["dag_id"],
        max_active_runs=max_active_runs,
        max_active_tasks=max_active_tasks,
        tasks=tuple(_serialized_task(defaults | task) for task in tasks),
        watches="watchers" in str(dag.get("timetable", "")) or any(map(_starts_from_trigger, tasks)),
    )


def dag_from_api(dag: Mapping[str, Any], tasks: Iterable[Mapping[str, Any]]) -> DagFacts:
    """Read what Airflow's API tells of a DAG, which is less: no sensor's mode, and not for what it waits.

    :param dag: an item of ``/api/v2/dags``
    :param tasks: the items of its ``/tasks``
    """
    return DagFacts(
        dag_id=dag["dag_id"],
        max_active_runs=dag["max_active_runs"],
        max_active_tasks=dag["max_active_tasks"],
        tasks=tuple(
            TaskFacts(
                task_id=task["task_id"],
                kind=task["operator_name"] or "",
                pool=task["pool"] or DEFAULT_POOL,
                pool_slots=int(task["pool_slots"] or 1),
                queue=task["queue"],
                pokes=(task["operator_name"] or "").endswith(_SENSOR_SUFFIX),
            )
            for task in tasks
        ),
        serialized=False,
    )


def _unwrapped(task: Mapping[str, Any]) -> dict[str, Any]:
    content = task.get("__var", task)
    return {**content.get("partial_kwargs", {}), **content}


def _serialized_task(task: Mapping[str, Any]) -> TaskFacts:
    waits_for_run = bool(task.get("wait_for_completion"))
    polls = bool(task.get("_is_sensor")) and not task.get("reschedule", False)
    awaited = task.get("external_dag_id") or (task.get("trigger_dag_id") if waits_for_run else None)
    return TaskFacts(
        task_id=task["task_id"],
        kind=str(task.get("task_type") or task.get("_task_type") or ""),
        pool=task.get("pool") or DEFAULT_POOL,
        pool_slots=int(task.get("pool_slots") or 1),
        queue=task.get("queue"),
        pokes=polls or waits_for_run,
        awaits=awaited if isinstance(awaited, str) and _TEMPLATE not in awaited else None,
        starts=waits_for_run,
    )


def _starts_from_trigger(task: Mapping[str, Any]) -> bool:
    return task.get("start_from_trigger") is True
