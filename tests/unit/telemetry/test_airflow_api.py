from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_aiopt.exceptions import AirflowApiError
from airflow_provider_aiopt.telemetry import airflow_api
from airflow_provider_aiopt.telemetry.airflow_api import AirflowApi, AirflowPool


class Server:
    """Stands in for ``http_json`` and keeps what it was asked."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    def __call__(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        self.asked.append((method, url, options))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def instance(**fields: Any) -> dict[str, Any]:
    return {
        "task_id": "infer",
        "map_index": 2,
        "try_number": 1,
        "scheduled_when": "2026-11-24T12:00:00Z",
        "queued_when": "2026-11-24T12:00:01.500000Z",
        "start_date": "2026-11-24T12:00:02Z",
        "end_date": None,
        "state": "running",
        "pool": "default_pool",
    } | fields


def page(*instances: dict[str, Any], total: int | None = None) -> dict[str, Any]:
    return {
        "task_instances": list(instances),
        "total_entries": len(instances) if total is None else total,
    }


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(airflow_api, "http_json", server)
    return server


def test_times_of_a_mapped_task(server: Server) -> None:
    server.answers = [page(instance())]

    (times,) = AirflowApi("http://airflow").task_times("dag", "run")

    assert (times.task_id, times.map_index, times.try_number, times.state) == ("infer", 2, 1, "running")
    assert times.queued_at is not None
    assert times.scheduled_at is not None
    assert (times.queued_at - times.scheduled_at).total_seconds() == 1.5
    assert times.ended_at is None
    assert times.pool == "default_pool"


def test_ids_are_percent_encoded_and_the_prefix_is_kept(server: Server) -> None:
    server.answers = [page()]

    AirflowApi("https://host/airflow/").task_times("dag/ü", "manual__2026-11-24T12:00:00+00:00")

    url = server.asked[0][1]
    assert url.startswith(
        "https://host/airflow/api/v2/dags/dag%2F%C3%BC/dagRuns/manual__2026-11-24T12%3A00%3A00%2B"
    )


def test_all_pages_are_read(server: Server) -> None:
    server.answers = [page(*[instance()] * 100, total=150), page(*[instance()] * 50, total=150)]

    assert len(AirflowApi("http://airflow").task_times("dag", "run")) == 150
    assert "offset=0" in server.asked[0][1]
    assert "offset=100" in server.asked[1][1]


def test_an_empty_page_ends_the_list_whatever_the_total_says(server: Server) -> None:
    server.answers = [page(instance(), total=5), page(total=5)]

    assert len(AirflowApi("http://airflow").task_times("dag", "run")) == 1


def test_a_token_is_got_once_for_user_and_password(server: Server) -> None:
    server.answers = [{"access_token": "secret"}, page(), page()]
    api = AirflowApi("http://airflow", username="me", password="pw")

    api.task_times("dag", "run")
    api.task_times("dag", "run")

    method, url, options = server.asked[0]
    assert (method, url, options["body"]) == (
        "POST",
        "http://airflow/auth/token",
        {"username": "me", "password": "pw"},
    )
    assert [asked[2].get("token") for asked in server.asked[1:]] == ["secret", "secret"]


def test_a_given_token_is_used_as_it_is(server: Server) -> None:
    server.answers = [page()]

    AirflowApi("http://airflow", token=" secret\n", username="me").task_times("dag", "run")

    assert [(asked[0], asked[2]["token"]) for asked in server.asked] == [("GET", "secret")]


def test_credentials_in_the_url_are_used_but_not_kept_there(server: Server) -> None:
    server.answers = [{"access_token": "secret"}, page()]
    api = AirflowApi("http://me:p%40ss@host:8080/")

    api.task_times("dag", "run")

    assert api.url == "http://host:8080"
    assert server.asked[0][2]["body"] == {"username": "me", "password": "p@ss"}


def test_an_answer_without_token_is_an_error(server: Server) -> None:
    server.answers = [{"detail": "no"}]

    with pytest.raises(AirflowApiError, match=r"/auth/token answered no access_token"):
        AirflowApi("http://airflow", username="me").task_times("dag", "run")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"task_instances": None, "total_entries": 0},
        {"task_instances": [{}], "total_entries": 1},
        {"task_instances": ["x"], "total_entries": 1},
        {"task_instances": [instance(start_date="yesterday")], "total_entries": 1},
        {"task_instances": [instance()], "total_entries": "many"},
    ],
)
def test_an_answer_of_another_form_is_an_error(server: Server, answer: dict[str, Any]) -> None:
    server.answers = [answer]

    with pytest.raises(AirflowApiError, match="answered in an unknown form"):
        AirflowApi("http://airflow").task_times("dag", "run")


def test_an_unreadable_url_is_an_error() -> None:
    with pytest.raises(AirflowApiError, match="cannot be read"):
        AirflowApi("http://[::1")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host", "airflow:8080", ""])
def test_only_http_is_spoken(url: str) -> None:
    with pytest.raises(AirflowApiError, match=r"is not an http:// or https:// address"):
        AirflowApi(url).task_times("dag", "run")


@pytest.mark.parametrize("token", ["se cret", "se\ncret", "sécret"])
def test_an_impossible_token_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(AirflowApiError, match="token has spaces") as caught:
        AirflowApi("http://airflow", token=token)

    assert "cret" not in str(caught.value)


class TestPools:
    def test_all_pages_by_name(self, server: Server) -> None:
        first = {"name": "default_pool", "slots": 128, "include_deferred": False, "open_slots": 128}
        second = {"name": "gpus", "slots": -1, "include_deferred": True, "description": None}
        server.answers = [
            {"pools": [first], "total_entries": 2},
            {"pools": [second], "total_entries": 2},
        ]
        assert AirflowApi("http://airflow").pools() == {
            "default_pool": AirflowPool("default_pool", 128, include_deferred=False),
            "gpus": AirflowPool("gpus", -1, include_deferred=True),
        }

    def test_one_is_made(self, server: Server) -> None:
        server.answers = [{}]
        AirflowApi("http://airflow").create_pool(AirflowPool("gpus", 2, include_deferred=True), "for GPUs")
        method, url, options = server.asked[0]
        assert (method, url) == ("POST", "http://airflow/api/v2/pools")
        assert options["body"] == {
            "name": "gpus",
            "slots": 2,
            "include_deferred": True,
            "description": "for GPUs",
        }
        assert "create and edit pools" in options["remedies"][403]

    def test_one_is_changed_but_for_its_description(self, server: Server) -> None:
        server.answers = [{}]
        AirflowApi("http://airflow").update_pool(AirflowPool("a/b c", 2, include_deferred=True))
        method, url, options = server.asked[0]
        assert method == "PATCH"
        assert url == ("http://airflow/api/v2/pools/a%2Fb%20c?update_mask=slots&update_mask=include_deferred")
        assert options["body"] == {"pool": "a/b c", "slots": 2, "include_deferred": True}

    @pytest.mark.parametrize("pool", [{}, {"name": "x", "slots": "many", "include_deferred": True}])
    def test_an_answer_of_another_form_is_an_error(self, server: Server, pool: dict[str, Any]) -> None:
        server.answers = [{"pools": [pool], "total_entries": 1}]
        with pytest.raises(AirflowApiError, match="pools answered in an unknown form"):
            AirflowApi("http://airflow").pools()


class TestConfiguration:
    def test_by_section_and_key(self, server: Server) -> None:
        section = {"name": "core", "options": [{"key": "parallelism", "value": "32"}]}
        server.answers = [{"sections": [section]}]
        assert AirflowApi("http://airflow").configuration() == {"core": {"parallelism": "32"}}
        assert "expose_config" in server.asked[0][2]["remedies"][403]

    def test_an_answer_of_another_form_is_an_error(self, server: Server) -> None:
        server.answers = [{"sections": [{"name": "core"}]}]
        with pytest.raises(AirflowApiError, match="config answered in an unknown form"):
            AirflowApi("http://airflow").configuration()


class TestCreateRun:
    def test_it_is_due_at_once(self, server: Server) -> None:
        server.answers = [{"dag_run_id": "upload__1"}]

        assert AirflowApi("http://airflow", token="t").create_run("my dag", "upload__1", {"a": 1})

        method, url, options = server.asked[0]
        assert (method, url) == ("POST", "http://airflow/api/v2/dags/my%20dag/dagRuns")
        body = options["body"]
        assert (body["dag_run_id"], body["logical_date"], body["conf"]) == ("upload__1", None, {"a": 1})
        assert datetime.fromisoformat(body["run_after"]) < datetime.now(UTC)

    def test_one_that_is_there_is_no_error(self, server: Server) -> None:
        server.answers = [AirflowApiError("POST: conflict", 409)]

        assert not AirflowApi("http://airflow", token="t").create_run("dag", "run", {})

    def test_a_refusal_is_one(self, server: Server) -> None:
        server.answers = [AirflowApiError("POST: no such DAG", 404)]

        with pytest.raises(AirflowApiError, match="no such DAG"):
            AirflowApi("http://airflow", token="t").create_run("dag", "run", {})


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_expired_is_replaced_once(server: Server, status: int) -> None:
    expired = AirflowApiError("expired", status)
    server.answers = [{"access_token": "old"}, page(), expired, {"access_token": "new"}, page()]
    api = AirflowApi("http://airflow", username="me", password="pw")

    api.task_times("dag", "run")
    api.task_times("dag", "run")

    assert [asked[2].get("token") for asked in server.asked] == [None, "old", "old", None, "new"]


@pytest.mark.parametrize("login", [{}, {"username": "me", "password": "pw"}])
def test_a_refusal_that_no_new_token_mends_is_raised(server: Server, login: dict[str, str]) -> None:
    refused = AirflowApiError("forbidden", 403)
    server.answers = [refused, {"access_token": "new"}, refused]

    with pytest.raises(AirflowApiError, match="forbidden"):
        AirflowApi("http://airflow", token="old", **login).task_times("dag", "run")

    assert len(server.asked) == (3 if login else 1)


class TestQueuedRuns:
    @pytest.mark.parametrize(
        ("queued", "started", "seconds"),
        [
            ("2026-11-24T12:00:00Z", "2026-11-24T12:01:30.500000Z", 90.5),
            ("2026-11-24T12:00:01Z", "2026-11-24T12:00:00Z", 0.0),  # two hosts' clocks may disagree
            ("2026-11-24T12:00:00Z", None, None),
            (None, "2026-11-24T12:00:00Z", None),
        ],
    )
    def test_a_run_waited_from_its_creation_to_its_start(
        self, server: Server, queued: str | None, started: str | None, seconds: float | None
    ) -> None:
        server.answers = [{"queued_at": queued, "start_date": started}]
        assert AirflowApi("http://airflow").queued_s("dag", "run") == seconds
        assert server.asked[0][1] == "http://airflow/api/v2/dags/dag/dagRuns/run"

    @pytest.mark.parametrize("queued", ["yesterday", 7])
    def test_an_answer_of_another_form_is_an_error(self, server: Server, queued: object) -> None:
        server.answers = [{"queued_at": queued, "start_date": "2026-11-24T12:00:00Z"}]
        with pytest.raises(AirflowApiError, match="unknown form"):
            AirflowApi("http://airflow").queued_s("dag", "run")
