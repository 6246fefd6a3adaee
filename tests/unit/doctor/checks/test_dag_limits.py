from __future__ import annotations

import pytest

from airflow_provider_aiopt.doctor.checks.dag_limits import DAG_LIMITS, judge
from airflow_provider_aiopt.doctor.context import CheckContext
from airflow_provider_aiopt.doctor.dags import DagFacts
from airflow_provider_aiopt.doctor.models import Skip


def test_limits_that_let_something_run() -> None:
    (found,) = judge([DagFacts("a", 1, 1), DagFacts("b", None, 16)])
    assert (found.severity, found.evidence) == ("ok", "2 active DAGs allow at least one run and one task")


@pytest.mark.parametrize(
    ("dag", "evidence"),
    [
        (DagFacts("a", 0, 16), "max_active_runs is 0: each of its runs stays queued for ever"),
        (DagFacts("a", 1, 0), "max_active_tasks is 0: none of its 0 tasks is ever started"),
    ],
)
def test_limits_that_let_nothing_run(dag: DagFacts, evidence: str) -> None:
    (found,) = judge([DagFacts("fine", 1, 1), dag])
    assert (found.severity, found.subject, found.evidence) == ("error", "DAG a", evidence)


def test_without_dags_it_is_skipped() -> None:
    (found,) = DAG_LIMITS.run(CheckContext())
    assert isinstance(found, Skip)
