from __future__ import annotations

from airflow_provider_aiopt.doctor.checks.waits import WAITS, judge
from airflow_provider_aiopt.doctor.context import CheckContext, Fact
from airflow_provider_aiopt.doctor.dags import DagFacts, TaskFacts
from airflow_provider_aiopt.doctor.models import Finding, Skip


def dag(name: str, *awaited: str, starts: bool = False) -> DagFacts:
    tasks = tuple(
        TaskFacts(f"for-{other}", "X", pokes=True, awaits=other, starts=starts) for other in awaited
    )
    return DagFacts(name, 1, 16, tasks)


def findings(*dags: DagFacts) -> list[Finding]:
    return list(judge(dags))


def test_waits_that_end() -> None:
    (found,) = findings(dag("a", "b", "c"), dag("b", "c"), dag("c"))
    assert (found.severity, found.evidence) == ("ok", "3 waits of a DAG for another, none in a circle")


def test_a_dag_that_waits_for_itself() -> None:
    (found,) = findings(dag("a", "a"))
    assert (found.severity, found.subject) == ("warning", "DAG a")
    assert "a.for-a waits for a" in found.evidence
    assert "execution_delta" in found.remedy


def test_a_dag_that_starts_itself_and_waits() -> None:
    (found,) = findings(dag("a", "a", starts=True))
    assert found.severity == "error"
    assert "without end" in found.evidence


def test_a_circle_is_found_once() -> None:
    (found,) = findings(dag("c", "a"), dag("a", "b"), dag("b", "c"), dag("d", "a"))
    assert found.subject == "DAG a"
    assert "a.for-b waits for b, b.for-c waits for c, c.for-a waits for a" in found.evidence


def test_two_circles_are_two_findings() -> None:
    found = findings(dag("a", "b"), dag("b", "a"), dag("c", "d"), dag("d", "c"))
    assert [item.subject for item in found] == ["DAG a", "DAG c"]


def test_a_dense_graph_takes_no_time() -> None:
    names = [f"dag-{number}" for number in range(60)]
    assert len(findings(*(dag(name, *names) for name in names))) == len(names)


def test_a_wait_for_a_dag_that_does_not_run() -> None:
    (found,) = findings(dag("a", "gone"))
    assert (found.severity, found.subject) == ("warning", "task a.for-gone")
    assert found.evidence == "waits for the DAG gone, which is paused or does not exist"


def test_what_the_api_does_not_tell_is_not_called_fine() -> None:
    told_by_the_api = DagFacts("a", 1, 16, serialized=False)
    (found,) = WAITS.run(CheckContext(dags=Fact.of([told_by_the_api])))
    assert isinstance(found, Skip)
    (found,) = WAITS.run(CheckContext(dags=Fact.of([dag("a")])))
    assert isinstance(found, Finding)
