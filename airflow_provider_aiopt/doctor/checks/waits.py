"""DAGs that wait for themselves, directly or through others."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.context import CheckContext
from airflow_provider_aiopt.doctor.dags import DagFacts, TaskFacts
from airflow_provider_aiopt.doctor.models import Finding, Skip, error, ok, warning

_Edges = Mapping[str, Mapping[str, TaskFacts]]


def _run(context: CheckContext) -> Iterator[Finding | Skip]:
    dags = context.dags.get()
    if isinstance(dags, Skip):
        yield dags
    elif dags and not any(dag.serialized for dag in dags):
        yield Skip("Airflow's API does not tell for what a task waits: use airflow aiopt doctor")
    else:
        yield from judge(dags)


def judge(dags: Sequence[DagFacts]) -> Iterator[Finding]:
    """Find the circles in which DAGs wait for each other, each once, and waits for DAGs that do not run."""
    edges = {dag.dag_id: {task.awaits: task for task in dag.tasks if task.awaits} for dag in dags}
    circles = list(_circles(edges))
    for circle in circles:
        yield _finding(circle, edges)
    missing = [
        (dag, task) for dag, tasks in edges.items() for awaited, task in tasks.items() if awaited not in edges
    ]
    for dag, task in missing:
        yield warning(
            f"task {dag}.{task.task_id}",
            f"waits for the DAG {task.awaits}, which is paused or does not exist",
            f"Unpause {task.awaits}, or correct the name",
        )
    if not circles and not missing:
        count = sum(map(len, edges.values()))
        yield ok("waits", f"{count} waits of a DAG for another, none in a circle")


def _circles(edges: _Edges) -> Iterator[tuple[str, ...]]:
    """Yield the shortest circle through each DAG that no DAG before it by name is part of."""
    for first in sorted(edges):
        paths: deque[tuple[str, ...]] = deque([(first,)])
        seen = {first}
        while paths:
            path = paths.popleft()
            if first in edges.get(path[-1], ()):
                yield path
                break
            ahead = [awaited for awaited in sorted(edges.get(path[-1], ())) if awaited > first]
            paths.extend((*path, awaited) for awaited in ahead if awaited not in seen)
            seen.update(ahead)


def _finding(circle: tuple[str, ...], edges: _Edges) -> Finding:
    steps = [
        (dag, edges[dag][awaited]) for dag, awaited in zip(circle, (*circle[1:], circle[0]), strict=True)
    ]
    told = ", ".join(f"{dag}.{task.task_id} waits for {task.awaits}" for dag, task in steps)
    subject = f"DAG {circle[0]}"
    if all(task.starts for _, task in steps):
        return error(
            subject,
            f"starts itself and waits for the end of that, without end: {told}",
            "Break the circle: set wait_for_completion=False, or start another DAG",
        )
    return warning(
        subject,
        f"waits for itself: {told}. Where these mean the same logical date, none of them ever ends",
        "Break the circle, or wait for an earlier run with execution_delta, which a serialized DAG does "
        "not tell",
    )


WAITS = Check(
    "waits",
    "DAGs that wait for themselves or for DAGs that do not run",
    "circles of `ExternalTaskSensor` and `TriggerDagRunOperator(wait_for_completion=True)`, a DAG that "
    "waits for "
    "itself included; waits for a DAG that is paused or not there",
    _run,
)
