"""A small client of Airflow's REST API: what the demo and the integration tests ask of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from local_airflow.errors import ApiError, DagUnavailableError, RunTimeoutError

Json = dict[str, Any]
TERMINAL_STATES = ("success", "failed")
_PAGE = 100


def _path(*parts: str) -> str:
    # A run id holds ``+`` and ``:``, and may hold anything.
    return "/api/v2/" + "/".join(quote(part, safe="") for part in parts)


class AirflowClient:
    """Talks to one Airflow.

    :param url: the API server's base URL
    :param username: who logs in
    :param password: the password
    :param wait: sleeps for so many seconds; may raise to end a wait early
    """

    def __init__(
        self, url: str, username: str, password: str, *, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self._wait = wait
        self.username = username
        self._http = httpx.Client(timeout=30.0, trust_env=False)
        self._connect(url, password)

    def _connect(self, url: str, password: str) -> None:
        self.url = url
        self.password = password
        self._token = ""
        self._http.base_url = httpx.URL(url)

    def token(self) -> str:
        """Log in once and return the access token."""
        if not self._token:
            credentials = {"username": self.username, "password": self.password}
            answer = self._send("POST", "/auth/token", json=credentials)
            self._token = str(answer.json()["access_token"])
        return self._token

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Send one request with the token and return the decoded JSON answer.

        :param method: the HTTP method
        :param path: the path from the server's root
        :param options: further options of :meth:`httpx.Client.request`
        :raises ApiError: if the request is refused, or not answered
        """
        headers = {"Authorization": f"Bearer {self.token()}", "Accept": "application/json"}
        answer = self._send(method, path, headers=headers, **options)
        return answer.json() if answer.content else None

    def health(self) -> Json:
        """Return what the API server says about the components; needs no login."""
        answer: Json = self._send("GET", "/api/v2/monitor/health").json()
        return answer

    def import_errors(self) -> list[Json]:
        """Return the DAG files that cannot be imported, each with ``filename`` and ``stack_trace``."""
        return self._all("import_errors", "/api/v2/importErrors")

    def dag(self, dag_id: str) -> Json:
        """Return the DAG's own facts."""
        found: Json = self.request("GET", _path("dags", dag_id))
        return found

    def wait_for_dag(
        self, dag_id: str, *, file: str = "", timeout: float = 60.0, since: datetime | None = None
    ) -> Json:
        """Wait until the DAG has been parsed, and return it.

        :param dag_id: the DAG
        :param file: its file's name: the errors of others are then not minded
        :param timeout: how many seconds to wait at most
        :param since: ignore what was parsed before
        :raises DagUnavailableError: if a DAG file cannot be imported, or the time is over
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                found = self.dag(dag_id)
                if _is_after(found["last_parsed_time"], since) and not found["is_stale"]:
                    return found
            except ApiError as error:
                if error.status != httpx.codes.NOT_FOUND:
                    raise
            problems = [
                error
                for error in self.import_errors()
                if _is_after(error["timestamp"], since) and error["filename"].endswith(file)
            ]
            if problems:
                shown = "\n".join(f"{problem['filename']}:\n{problem['stack_trace']}" for problem in problems)
                raise DagUnavailableError(f"DAG {dag_id!r} is not there and DAG files have errors.\n{shown}")
            if time.monotonic() > deadline:
                raise DagUnavailableError(
                    f"DAG {dag_id!r} was not found in {timeout:.0f} s. Is its file in the DAG folder?"
                )
            self._wait(0.1)

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run the DAG."""
        self.request("PATCH", _path("dags", dag_id), json={"is_paused": False})

    def trigger(
        self, dag_id: str, params: Mapping[str, Any] | None = None, *, run_id: str | None = None
    ) -> str:
        """Start a run and return its id.

        :param dag_id: the DAG
        :param params: values of the DAG's params, the run's ``conf``
        :param run_id: an id of one's own; Airflow makes one up otherwise
        """
        body = {"logical_date": None, "conf": dict(params or {}), "dag_run_id": run_id}
        return str(self.request("POST", _path("dags", dag_id, "dagRuns"), json=body)["dag_run_id"])

    def dag_run(self, dag_id: str, run_id: str) -> Json:
        """Return one run."""
        found: Json = self.request("GET", _path("dags", dag_id, "dagRuns", run_id))
        return found

    def dag_runs(self, dag_id: str, states: Sequence[str] = ()) -> list[Json]:
        """Return the runs of a DAG, those in *states* only where given."""
        return self._all("dag_runs", _path("dags", dag_id, "dagRuns"), {"state": list(states)})

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a run, and its tasks, as ``failed`` or ``success``."""
        self.request("PATCH", _path("dags", dag_id, "dagRuns", run_id), json={"state": state})

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        """Return the task instances of a run, every mapped one by itself."""
        return self._all("task_instances", _path("dags", dag_id, "dagRuns", run_id, "taskInstances"))

    def wait_for_run(
        self,
        dag_id: str,
        run_id: str,
        *,
        timeout: float = 120.0,
        on_update: Callable[[list[Json]], None] | None = None,
    ) -> str:
        """Wait until a run has ended, and return its state.

        :param dag_id: the DAG
        :param run_id: the run
        :param timeout: how many seconds to wait at most
        :param on_update: is given the task instances at every look
        :raises RunTimeoutError: if the time is over first
        """
        deadline = time.monotonic() + timeout
        while True:
            state = str(self.dag_run(dag_id, run_id)["state"])
            if on_update is not None:
                on_update(self.task_instances(dag_id, run_id))
            if state in TERMINAL_STATES:
                return state
            if time.monotonic() > deadline:
                raise RunTimeoutError(
                    f"Run {run_id!r} of {dag_id!r} is still {state} after {timeout:.0f} s. "
                    f"Its tasks: {self._states(dag_id, run_id)}"
                )
            self._wait(0.2)

    def task_logs(
        self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, try_number: int = 1
    ) -> str:
        """Return the log of one attempt of a task, a line per event."""
        path = _path("dags", dag_id, "dagRuns", run_id, "taskInstances", task_id, "logs", str(try_number))
        options = {"map_index": map_index, "full_content": "true"}
        return "\n".join(_log_line(event) for event in self.request("GET", path, params=options)["content"])

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", *, map_index: int = -1
    ) -> Any:
        """Return one XCom value."""
        path = _path("dags", dag_id, "dagRuns", run_id, "taskInstances", task_id, "xcomEntries", key)
        return self.request("GET", path, params={"map_index": map_index, "deserialize": "true"})["value"]

    def _states(self, dag_id: str, run_id: str) -> str:
        return ", ".join(
            f"{task['task_id']}[{task['map_index']}] {task['state']}"
            for task in self.task_instances(dag_id, run_id)
        )

    def _all(self, key: str, path: str, params: Mapping[str, Any] | None = None) -> list[Json]:
        found: list[Json] = []
        while True:
            page = self.request("GET", path, params={**(params or {}), "limit": _PAGE, "offset": len(found)})
            found.extend(page[key])
            if not page[key] or len(found) >= page["total_entries"]:
                return found

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            # Where the server has died, that is the better explanation: the wait notices it and raises.
            self._wait(0)
            raise ApiError(f"{method} {self.url}{path} was not answered: {error}") from error
        if answer.is_error:
            raise ApiError(
                f"{method} {self.url}{path} was refused with {answer.status_code}: {answer.text[:1000]}",
                answer.status_code,
            )
        return answer


def _is_after(timestamp: str | None, since: datetime | None) -> bool:
    return timestamp is not None and (since is None or datetime.fromisoformat(timestamp) >= since)


def _log_line(event: Any) -> str:
    if isinstance(event, str):
        return event
    line = f"{event.get('timestamp') or ''} {event.get('level', '')} {event['event']}".strip()
    causes = [
        f"  {error['exc_type']}: {error['exc_value']}{_place(error['frames'])}"
        for error in event.get("error_detail") or ()
    ]
    return "\n".join([line, *causes])


def _place(frames: Sequence[Mapping[str, Any]]) -> str:
    return f" ({frames[-1]['filename']}:{frames[-1]['lineno']})" if frames else ""
