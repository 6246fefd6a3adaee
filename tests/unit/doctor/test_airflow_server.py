from __future__ import annotations

from collections.abc import Callable
from email.message import Message
from typing import Any

import pytest

from airflow_provider_aiopt.doctor.airflow_server import ask_configuration, ask_dags, ask_health
from airflow_provider_aiopt.doctor.health import Component
from airflow_provider_aiopt.exceptions import AirflowApiError
from airflow_provider_aiopt.telemetry import airflow_api
from airflow_provider_aiopt.telemetry.airflow_api import AirflowApi

API = AirflowApi("http://airflow", token="t")
Answers = Callable[..., list[str]]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Let the API server answer; what it is asked is returned as it comes."""

    def install(*given: dict[str, Any], date: str | None = None) -> list[str]:
        left, asked = list(given), []

        def http_json(_: str, url: str, **__: Any) -> dict[str, Any]:
            asked.append(url.removeprefix("http://airflow"))
            return left.pop(0)

        def exchange_json(method: str, url: str, **options: Any) -> tuple[dict[str, Any], Message]:
            headers = Message()
            if date:
                headers["Date"] = date
            return http_json(method, url, **options), headers

        monkeypatch.setattr(airflow_api, "http_json", http_json)
        monkeypatch.setattr(airflow_api, "exchange_json", exchange_json)
        return asked

    return install


def test_health_with_the_servers_clock(answers: Answers) -> None:
    asked = answers({"metadatabase": {"status": "healthy"}}, date="Tue, 01 Dec 2026 12:00:00 GMT")
    times = iter([1000.0, 1002.0])
    found = ask_health(API, now=lambda: next(times))
    assert asked == ["/api/v2/monitor/health"]
    assert (found.database, found.answered_at, found.answer_s, found.asked_at) == (
        "healthy",
        1_796_126_400.0,
        2.0,
        1001.0,
    )
    assert set(found.components.values()) == {Component(None, None)}


def test_a_server_that_tells_no_time(answers: Answers) -> None:
    answers({"metadatabase": {"status": "healthy"}})
    assert ask_health(API).answered_at is None


def test_an_answer_of_another_form_is_an_error_of_this_package(answers: Answers) -> None:
    answers({"hello": "world"})
    with pytest.raises(AirflowApiError, match="unknown form"):
        ask_health(API)


def test_the_configuration_that_is_exposed(answers: Answers) -> None:
    answers({"sections": [{"name": "core", "options": [{"key": "parallelism", "value": "4"}]}]})
    assert ask_configuration(API).get("core", "parallelism") == "4"


def test_dags_that_are_not_paused_with_their_tasks(answers: Answers) -> None:
    dags = [{"dag_id": "a/b", "max_active_runs": 1, "max_active_tasks": 16}]
    task = {"task_id": "t", "operator_name": "X", "pool": "p", "pool_slots": 1.0, "queue": "q"}
    asked = answers({"dags": dags, "total_entries": 1}, {"tasks": [task]})
    (found,) = ask_dags(API)
    assert (found.dag_id, found.tasks[0].pool) == ("a/b", "p")
    assert asked == [
        "/api/v2/dags?paused=false&limit=100&offset=0&order_by=dag_id",
        "/api/v2/dags/a%2Fb/tasks",
    ]
