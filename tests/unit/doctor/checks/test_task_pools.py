from __future__ import annotations

from airflow_provider_aiopt.doctor.checks.task_pools import TASK_POOLS, judge
from airflow_provider_aiopt.doctor.context import CheckContext, Fact, unknown
from airflow_provider_aiopt.doctor.dags import DagFacts, TaskFacts
from airflow_provider_aiopt.doctor.models import Finding, Skip
from airflow_provider_aiopt.telemetry.airflow_api import AirflowPool

DEFAULT = AirflowPool("default_pool", 128, include_deferred=False)


def findings(task: TaskFacts, *pools: AirflowPool) -> list[Finding]:
    return list(judge([DagFacts("d", 1, 16, (task,))], {pool.name: pool for pool in (DEFAULT, *pools)}))


def test_tasks_that_fit() -> None:
    (found,) = findings(TaskFacts("t", "X"))
    assert (found.severity, found.evidence) == (
        "ok",
        "1 tasks of 1 active DAGs fit the 1 pools that they wait in",
    )


def test_a_pool_that_is_not_there() -> None:
    (found,) = findings(TaskFacts("t", "X", "gpus"))
    assert (found.severity, found.subject) == ("error", "pool gpus")
    assert found.evidence == "does not exist, and 1 tasks wait in it: d.t"


def test_a_task_that_takes_more_slots_than_its_pool_has() -> None:
    (found,) = findings(TaskFacts("t", "X", "gpus", 4), AirflowPool("gpus", 2, include_deferred=True))
    assert found.severity == "error"
    assert found.evidence == "has 2 slots, and 1 tasks take up to 4 each: d.t wait for ever"
    assert found.remedy.startswith("Give it at least 4 slots")


def test_a_pool_without_slots_is_an_error_in_use_and_else_a_note() -> None:
    empty = AirflowPool("gpus", 0, include_deferred=True)
    assert [item.severity for item in findings(TaskFacts("t", "X", "gpus"), empty)] == ["error"]
    assert [item.severity for item in findings(TaskFacts("t", "X"), empty)] == ["note", "ok"]


def test_a_pool_without_a_limit_has_room() -> None:
    endless = AirflowPool("gpus", -1, include_deferred=True)
    assert [item.severity for item in findings(TaskFacts("t", "X", "gpus", 9), endless)] == ["ok"]


def test_what_is_not_known_is_said() -> None:
    context = CheckContext(dags=Fact.of([]), pools=unknown("no pools"))
    assert list(TASK_POOLS.run(context)) == [Skip("no pools")]
