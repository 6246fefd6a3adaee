"""Tasks that hold a slot while they wait: enough of them, and nothing else runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_aiopt.deployment.configuration import Configuration
from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.context import CheckContext
from airflow_provider_aiopt.doctor.dags import DagFacts, TaskFacts
from airflow_provider_aiopt.doctor.models import Finding, Skip, error, ok, warning
from airflow_provider_aiopt.telemetry.airflow_api import AirflowPool

_DEFAULT_PARALLELISM = 32
_TRUE = {"true", "t", "1", "yes", "on"}


@dataclass(frozen=True, slots=True)
class Room:
    """How many tasks may run, and whether sensors wait in the triggerer unless told otherwise.

    :param parallelism: tasks of a scheduler
    :param deferrable: ``[operators] default_deferrable``
    """

    parallelism: int = _DEFAULT_PARALLELISM
    deferrable: bool = False

    @classmethod
    def of(cls, configuration: Configuration | Skip) -> Room:
        """Read it from a configuration, or take Airflow's defaults where there is none."""
        if isinstance(configuration, Skip):
            return cls()
        text = configuration.get("core", "parallelism") or ""
        deferrable = (configuration.get("operators", "default_deferrable") or "").strip().lower() in _TRUE
        return cls(int(text) if text.isdigit() else _DEFAULT_PARALLELISM, deferrable)


@dataclass(frozen=True, slots=True)
class _Waiting:
    dag: DagFacts
    task: TaskFacts

    @property
    def most(self) -> int:
        """How many of it may run at once."""
        return max(1, self.dag.max_active_runs or 1)

    @property
    def slots(self) -> int:
        return self.most * self.task.pool_slots


def _run(context: CheckContext) -> Iterator[Finding | Skip]:
    dags, pools = context.dags.get(), context.pools.get()
    if isinstance(dags, Skip):
        yield dags
        return
    known = {} if isinstance(pools, Skip) else pools
    yield from judge(dags, known, Room.of(context.configuration.get()))


def judge(dags: Sequence[DagFacts], pools: Mapping[str, AirflowPool], room: Room) -> Iterator[Finding]:
    """Judge the tasks that may hold a slot while they wait."""
    waiting = [_Waiting(dag, task) for dag in dags for task in dag.tasks if task.pokes]
    found = [*_full_pools(waiting, pools, room), *_full_workers(waiting, room)]
    yield from found
    if not found:
        holding = sum(item.most for item in waiting)
        yield ok(
            "sensors",
            f"{len(waiting)} tasks may hold a slot while they wait, at most {holding} at once; [core] "
            f"parallelism is {room.parallelism}",
        )


def _full_pools(
    waiting: Sequence[_Waiting], pools: Mapping[str, AirflowPool], room: Room
) -> Iterator[Finding]:
    for name in sorted({item.task.pool for item in waiting}):
        pool, members = pools.get(name), [item for item in waiting if item.task.pool == name]
        if pool is None or pool.slots < 1 or (room.deferrable and not pool.include_deferred):
            continue
        held = sum(item.slots for item in members)
        if held >= pool.slots:
            yield warning(
                f"pool {name}",
                f"has {pool.slots} slots, and {_tasks(members)} may hold {held} of them while they only "
                "wait: then "
                f"nothing else in the pool starts{_deferred(pool)}",
                "Use mode='reschedule' or "
                f"deferrable=True{' and a pool without include_deferred' * pool.include_deferred}, "
                f"give them a pool of their own, or at least {held + 1} slots. "
                "Ignore it where they are deferrable already: a serialized DAG does not tell",
            )


def _full_workers(waiting: Sequence[_Waiting], room: Room) -> Iterator[Finding]:
    if room.deferrable:
        return
    held = sum(item.most for item in waiting)
    starters = [item for item in waiting if item.task.starts]
    if sum(item.most for item in starters) >= room.parallelism >= 1:
        yield error(
            "[core] parallelism",
            f"{room.parallelism}, and {_tasks(starters)} may hold all of it while they wait for the runs "
            "that they "
            "started, whose tasks then never start",
            f"Set deferrable=True, lower their DAGs' max_active_runs, or set [core] parallelism above {held}",
        )
    elif held >= room.parallelism >= 1:
        yield warning(
            "[core] parallelism",
            f"{room.parallelism}, and {_tasks(waiting)} may hold {held} of it while they only wait",
            f"Use mode='reschedule' or deferrable=True, lower max_active_runs, or set it above {held}",
        )


def _tasks(members: Sequence[_Waiting]) -> str:
    names = sorted({f"{item.dag.dag_id}.{item.task.task_id}" for item in members})
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""  # noqa: PLR2004 - two names are enough
    return f"{len(names)} tasks ({', '.join(names[:2])}{more})"


def _deferred(pool: AirflowPool) -> str:
    return ", since it counts deferred tasks too" if pool.include_deferred else ""


SENSORS = Check(
    "sensors",
    "tasks that hold slots while they wait",
    "sensors in poke mode, and tasks that wait for a run that they started, which can fill a pool (one with "
    "`include_deferred` also when they are deferred) or all of `[core] parallelism`, counted at the DAGs' "
    "`max_active_runs`; such waits for started runs that no slot is left for are an error",
    _run,
)
