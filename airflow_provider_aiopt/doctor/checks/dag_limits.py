"""DAGs whose own limits let nothing run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.context import CheckContext
from airflow_provider_aiopt.doctor.dags import DagFacts
from airflow_provider_aiopt.doctor.models import Finding, Skip, error, ok


def _run(context: CheckContext) -> Iterator[Finding | Skip]:
    dags = context.dags.get()
    if isinstance(dags, Skip):
        yield dags
        return
    yield from judge(dags)


def judge(dags: Sequence[DagFacts]) -> Iterator[Finding]:
    """Judge each DAG's limits."""
    bad = 0
    for dag in dags:
        subject = f"DAG {dag.dag_id}"
        if dag.max_active_runs is not None and dag.max_active_runs < 1:
            bad += 1
            yield error(
                subject,
                f"max_active_runs is {dag.max_active_runs}: each of its runs stays queued for ever",
                "Set max_active_runs=1 or more in the DAG, or pause it",
            )
        if dag.max_active_tasks < 1:
            bad += 1
            yield error(
                subject,
                f"max_active_tasks is {dag.max_active_tasks}: none of its {len(dag.tasks)} tasks is ever "
                "started",
                "Set max_active_tasks=1 or more in the DAG, or pause it",
            )
    if not bad:
        yield ok("DAGs", f"{len(dags)} active DAGs allow at least one run and one task")


DAG_LIMITS = Check(
    "dag-limits",
    "limits of the DAGs themselves",
    "active DAGs with `max_active_runs` or `max_active_tasks` below 1, whose runs or tasks wait for ever",
    _run,
)
