"""The routes with Airflow's own guards, an auth manager that the tests make up, and no database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.api_fastapi.core_api import security
from airflow.models.dag import DagModel
from fastapi.testclient import TestClient

from airflow_provider_aiopt.plugins import routes
from airflow_provider_aiopt.plugins.answers import FoundHardware, FoundReports, KnownRun
from airflow_provider_aiopt.plugins.app import create_app
from airflow_provider_aiopt.telemetry.run_hardware import SampledTask
from airflow_provider_aiopt.telemetry.task_hardware import TaskHardware
from airflow_provider_aiopt.telemetry.testing import EPOCH, make_stage_report, make_task
from airflow_provider_aiopt.telemetry.timings import RunFacts, TaskFacts

RUN = "manual__2026-01-01T00:00:00+00:00"


class OneRun:
    """An Airflow with one DAG, ``dag``, of one run with one task."""

    run_row = KnownRun(
        1, RunFacts(dag_id="dag", run_id=RUN, state="success", started_at=EPOCH, ended_at=EPOCH)
    )

    def has_dag(self, dag_id: str) -> bool:
        return dag_id == "dag"

    def run(self, dag_id: str, run_id: str) -> KnownRun | None:
        return self.run_row if (dag_id, run_id) == ("dag", RUN) else None

    def last_runs(self, dag_ids: Any, limit: int) -> Any:
        return {"dag": [self.run_row]} if "dag" in dag_ids else {}

    def tasks(self, dag_id: str, run_id: str) -> Any:
        return [TaskFacts(task_id="ingest", state="success", stage="ingest", started_at=EPOCH)]

    def reports(self, keys: Any) -> Any:
        return {1: FoundReports([make_stage_report("ingest", task=make_task("ingest"), shard="=1+1")])}

    def report_counts(self, keys: Any) -> Any:
        return {1: 1}

    def hardware(self, key: int, task_id: str | None, map_index: int | None, *, limit: int) -> Any:
        use = TaskHardware(stages=("ingest",), began_at=EPOCH, offsets_s=(1,), cpu_cores=(1.5,))
        asked_for = task_id in {None, "ingest"} and map_index in {None, -1}
        return FoundHardware([SampledTask("ingest", -1, use)] if asked_for else [])

    def pipelines(self) -> Any:
        return ["dag"]


class AuthManager:
    """Knows users by their token: a reader of everything, one of nothing, and one who may not read XComs."""

    async def get_user_from_token(self, token: str) -> Any:
        return SimpleNamespace(name=token)

    def is_authorized_dag(self, *, method: str, access_entity: Any, details: Any, user: Any) -> bool:
        assert method == "GET"
        return user.name == "reader" or (user.name == "half" and access_entity.name != "XCOM")

    def get_authorized_dag_ids(self, *, user: Any, method: str) -> set[str]:
        return {"dag"} if user.name == "reader" else set()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TestClient]:
    manager = AuthManager()
    for module in (security, routes):
        monkeypatch.setattr(module, "get_auth_manager", lambda: manager)
    monkeypatch.setattr(DagModel, "get_team_name", staticmethod(lambda _: None), raising=False)
    (tmp_path / "run.html").write_text("<!doctype html><title>Run</title>")
    (tmp_path / "run.js").write_text("export {}")
    app = create_app(tmp_path)
    app.dependency_overrides[routes.airflow_records] = OneRun
    with TestClient(app, raise_server_exceptions=True) as client:
        yield client


def as_user(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}"}


DATA = [
    f"/api/dags/dag/runs/{RUN}",
    f"/api/dags/dag/runs/{RUN}.csv",
    "/api/dags/dag/trend",
    "/api/pipelines",
    f"/api/dags/dag/runs/{RUN}/hardware",
]


@pytest.mark.parametrize("path", DATA)
class TestGuards:
    def test_an_anonymous_caller_is_refused(self, client: TestClient, path: str) -> None:
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})

    @pytest.mark.parametrize("user", ["stranger", "half"])
    def test_a_user_without_access_is_refused(self, client: TestClient, path: str, user: str) -> None:
        answer = client.get(path, headers=as_user(user))
        assert (answer.status_code, answer.json()) == (403, {"detail": "Forbidden"})

    def test_a_reader_gets_data_that_no_cache_keeps(self, client: TestClient, path: str) -> None:
        answer = client.get(path, headers=as_user("reader"))
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"


def test_a_cookie_will_do(client: TestClient) -> None:
    client.cookies.set("_token", "reader")
    assert client.get("/api/pipelines").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/dags/dag/runs/none",
        "/api/dags/dag/runs/none.csv",
        "/api/dags/dag/runs/none/hardware",
        "/api/dags/none/trend",
    ],
)
def test_what_is_not_there_is_not_found(client: TestClient, path: str) -> None:
    answer = client.get(path, headers=as_user("reader"))
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith("There is no ")


def get(client: TestClient, path: str) -> Any:
    return client.get(path, headers=as_user("reader")).json()


def test_a_run(client: TestClient) -> None:
    timings = get(client, DATA[0])
    assert (timings["run_id"], timings["state"], timings["mode"]) == (RUN, "success", "staged")
    assert timings["tasks"][0]["segments"][-1] == {"name": "writing", "seconds": 0.0}
    assert timings["started_at"] == "2026-01-01T00:00:00Z"


def test_one_task_of_it(client: TestClient) -> None:
    assert len(get(client, f"{DATA[0]}?task_id=ingest&map_index=-1")["tasks"]) == 1
    assert get(client, f"{DATA[0]}?task_id=ingest&map_index=4")["tasks"] == []


def test_a_run_as_csv(client: TestClient) -> None:
    answer = client.get(DATA[1], headers=as_user("reader"))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert (
        answer.headers["content-disposition"]
        == 'attachment; filename="dag-manual__2026-01-01T00_00_00_00_00.csv"'
    )
    header, row = answer.text.splitlines()
    assert header.startswith("Stage,Task,")
    assert ",'=1+1," in row


def test_its_hardware(client: TestClient) -> None:
    found = get(client, DATA[4])
    assert [(curve["name"], curve["cpu_cores"]) for curve in found["curves"]] == [("ingest", [1.5])]
    assert get(client, f"{DATA[4]}?task_id=ingest&map_index=-1")["origin"] == "task"
    assert get(client, f"{DATA[4]}?task_id=ingest&map_index=4")["curves"] == []


def test_a_trend_and_the_pipelines(client: TestClient) -> None:
    assert get(client, DATA[2])["runs"][0]["stages"] == {"ingest": 1.0}
    (row,) = get(client, DATA[3])["pipelines"]
    assert (row["dag_id"], row["slowest_stage"], row["trend"]) == ("dag", "ingest", [0.0])


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=100000"])
def test_a_wrong_limit_is_explained_in_words(client: TestClient, query: str) -> None:
    answer = client.get(f"/api/pipelines?{query}", headers=as_user("reader"))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("limit: Input should be ")


def test_pages_are_framed_by_airflow_only_and_run_their_own_scripts_only(client: TestClient) -> None:
    answer = client.get("/static/run.html")
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'self'" in policy
    assert "script-src 'self';" in policy
    assert "default-src 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.get("/static/run.js").headers["content-type"].startswith("text/javascript")


def test_a_page_is_asked_for_again_and_answered_in_short(client: TestClient) -> None:
    first = client.get("/static/run.html")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/static/run.html", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/none.html", "/docs"])
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_it_is_served_below_a_base_path(client: TestClient) -> None:
    from fastapi import FastAPI

    airflow = FastAPI(root_path="/prefix")
    airflow.mount("/aiopt", client.app)
    below = TestClient(airflow)
    assert below.get("/prefix/aiopt/static/run.html").status_code == 200
    assert below.get("/prefix/aiopt/api/pipelines", headers=as_user("reader")).status_code == 200
