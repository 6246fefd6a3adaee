from __future__ import annotations

from deployments import FakeConfiguration

from airflow_provider_aiopt.doctor.checks.queues import QUEUES, judge
from airflow_provider_aiopt.doctor.context import CheckContext, Fact
from airflow_provider_aiopt.doctor.dags import DagFacts, TaskFacts
from airflow_provider_aiopt.doctor.models import Finding, Skip
from airflow_provider_aiopt.exceptions import DoctorError

CELERY = {"core.executor": "CeleryExecutor"}
DAGS = [DagFacts("d", 1, 16, (TaskFacts("cpu", "X"), TaskFacts("gpu", "X", queue="gpu")))]


def findings(*served: str, **changed: str | None) -> list[Finding]:
    return list(judge(DAGS, FakeConfiguration(**CELERY | changed), frozenset(served)))


def test_queues_that_are_served() -> None:
    (found,) = findings("default", "gpu", "spare")
    assert (found.severity, found.evidence) == (
        "ok",
        "workers serve default, gpu, spare: all 2 that tasks go to",
    )


def test_a_queue_that_nobody_serves() -> None:
    (found,) = findings("default")
    assert (found.severity, found.subject) == ("error", "queue gpu")
    assert "1 tasks go there: d.gpu; workers serve default" in found.evidence
    assert found.remedy.startswith("Start: airflow celery worker --queues gpu")


def test_the_default_queue_is_the_configured_one() -> None:
    (found,) = findings("default", "gpu", **{"operators.default_queue": "main"})
    assert found.subject == "queue main"


def test_the_queue_of_the_templates_counts_where_there_are_gpus() -> None:
    queue = {"aiopt.gpu_queue": "h100"}
    assert [item.severity for item in findings("default", "gpu", **queue)] == ["ok"]
    (found,) = findings("default", "gpu", **queue, **{"aiopt.gpu_pool_slots": "2"})
    assert found.subject == "queue h100"
    assert "[aiopt] gpu_queue" in found.evidence


def test_other_executors_have_no_queues() -> None:
    (found,) = QUEUES.run(CheckContext(configuration=Fact.of(FakeConfiguration())))
    assert found == Skip("only the CeleryExecutor has queues that workers choose")


def test_a_broker_that_does_not_answer() -> None:
    def ask() -> frozenset[str]:
        raise DoctorError("Celery's broker does not answer: refused")

    context = CheckContext(configuration=Fact.of(FakeConfiguration(**CELERY)), served_queues=Fact(ask))
    assert list(QUEUES.run(context)) == [Skip("Celery's broker does not answer: refused", unanswered=True)]
