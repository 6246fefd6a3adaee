from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_aiopt.doctor.checks.components import AIRFLOW, judge, judge_triggerer
from airflow_provider_aiopt.doctor.context import CheckContext, Fact
from airflow_provider_aiopt.doctor.dags import DagFacts
from airflow_provider_aiopt.doctor.health import AirflowHealth, Component, read_components
from airflow_provider_aiopt.doctor.models import Finding, Skip
from airflow_provider_aiopt.exceptions import AirflowApiError

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
ALIVE = Component("healthy", NOW - timedelta(seconds=3))
DEAD = Component("unhealthy", NOW - timedelta(minutes=2))
NEVER = Component(None, None)


def health(database: str = "healthy", **components: Component) -> AirflowHealth:
    alive = {"scheduler": ALIVE, "dag_processor": ALIVE, "triggerer": ALIVE}
    return AirflowHealth("http://a", database, alive | components, None, 0.02, NOW.timestamp())


def test_an_airflow_that_lives() -> None:
    found = list(judge(health()))
    assert [item.severity for item in found] == ["ok"] * 3
    assert found[1].evidence == "last heartbeat 3 s ago"


@pytest.mark.parametrize(
    ("state", "subject", "evidence"),
    [
        (health("unhealthy"), "metadata database", "is unhealthy"),
        (health(scheduler=DEAD), "scheduler", "unhealthy (last heartbeat 120 s ago): no task is started"),
        (health(dag_processor=NEVER), "dag_processor", "never ran (no heartbeat): new and changed DAGs"),
    ],
)
def test_a_component_that_does_not_live(state: AirflowHealth, subject: str, evidence: str) -> None:
    (found,) = [item for item in judge(state) if item.severity != "ok"]
    assert (found.severity, found.subject) == ("error", subject)
    assert found.evidence.startswith(evidence)


def test_an_api_server_that_was_named_and_does_not_answer_is_an_error() -> None:
    def refuse() -> AirflowHealth:
        raise AirflowApiError("GET http://a failed: refused")

    (found,) = AIRFLOW.run(CheckContext(health=Fact(refuse)))
    assert isinstance(found, Finding)
    assert (found.severity, found.evidence) == ("error", "GET http://a failed: refused")
    (skip,) = AIRFLOW.run(CheckContext())
    assert isinstance(skip, Skip)


def test_a_triggerer_that_nobody_misses_is_a_warning_and_else_an_error() -> None:
    watching = DagFacts("inbox", 1, 16, watches=True)
    assert [item.severity for item in judge_triggerer(health(), [watching])] == ["ok"]
    assert [item.severity for item in judge_triggerer(health(triggerer=NEVER), [])] == ["warning"]
    (found,) = judge_triggerer(health(triggerer=DEAD), [watching, DagFacts("other", 1, 16)])
    assert found.severity == "error"
    assert "nothing starts inbox" in found.evidence


def test_airflows_answer_is_read() -> None:
    answer = {
        "metadatabase": {"status": "healthy"},
        "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": "2026-12-01T11:59:57+00:00"},
        "triggerer": {"status": None, "latest_triggerer_heartbeat": None},
        "dag_processor": None,
    }
    database, components = read_components(answer)
    assert database == "healthy"
    assert components == {"scheduler": ALIVE, "triggerer": NEVER, "dag_processor": NEVER}
