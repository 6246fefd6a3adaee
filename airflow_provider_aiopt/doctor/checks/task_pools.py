"""Pools too small for a task that waits in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.context import CheckContext
from airflow_provider_aiopt.doctor.dags import DagFacts
from airflow_provider_aiopt.doctor.models import Finding, Skip, error, note, ok
from airflow_provider_aiopt.telemetry.airflow_api import AirflowPool

_SHOWN = 3


def _run(context: CheckContext) -> Iterator[Finding | Skip]:
    dags, pools = context.dags.get(), context.pools.get()
    if isinstance(dags, Skip) or isinstance(pools, Skip):
        yield from (item for item in (dags, pools) if isinstance(item, Skip))
        return
    yield from judge(dags, pools)


def judge(dags: Sequence[DagFacts], pools: Mapping[str, AirflowPool]) -> Iterator[Finding]:
    """Compare each task's slots with its pool's."""
    users: dict[str, dict[str, int]] = defaultdict(dict)
    for dag in dags:
        for task in dag.tasks:
            users[task.pool][f"{dag.dag_id}.{task.task_id}"] = task.pool_slots
    found = [
        finding for name, tasks in sorted(users.items()) for finding in _pool(name, tasks, pools.get(name))
    ]
    yield from found
    for pool in pools.values():
        if pool.slots == 0 and pool.name not in users:
            yield note(
                f"pool {pool.name}",
                "has 0 slots; no active DAG uses it",
                "Remove it, or give it slots before use",
            )
    if not found:
        count = sum(map(len, users.values()))
        yield ok(
            "pools", f"{count} tasks of {len(dags)} active DAGs fit the {len(users)} pools that they wait in"
        )


def _pool(name: str, tasks: Mapping[str, int], pool: AirflowPool | None) -> Iterator[Finding]:
    subject = f"pool {name}"
    if pool is None:
        yield error(
            subject,
            f"does not exist, and {len(tasks)} tasks wait in it: {_names(tasks)}",
            f"Create it: airflow pools set {name} SLOTS DESCRIPTION; or change the tasks' pool",
        )
        return
    too_large = {task: slots for task, slots in tasks.items() if 0 <= pool.slots < slots}
    if too_large:
        most = max(too_large.values())
        yield error(
            subject,
            f"has {pool.slots} slots, and {len(too_large)} tasks take up to {most} each: {_names(too_large)} "
            "wait for ever",
            f"Give it at least {most} slots, or lower the tasks' pool_slots",
        )


def _names(tasks: Mapping[str, int]) -> str:
    names = sorted(tasks)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


TASK_POOLS = Check(
    "task-pools",
    "the pools that the tasks of all active DAGs wait in",
    "pools that do not exist, have no slots, or fewer than a task's `pool_slots`: the task waits for ever, "
    "and "
    "Airflow says so only in the scheduler's log",
    _run,
)
