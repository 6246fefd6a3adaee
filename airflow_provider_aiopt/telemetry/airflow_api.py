"""Airflow's own times of a run's tasks, read through its public API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

from airflow_provider_aiopt.exceptions import AirflowApiError
from airflow_provider_aiopt.telemetry.http_json import http_json
from airflow_provider_aiopt.telemetry.reports import TaskTimes

_PAGE = 100  # Airflow's own default of [api] maximum_page_limit


class AirflowApi:
    """A client for the one thing that reports need of Airflow's API.

    :param url: Airflow's address as in a browser, with its path prefix where it has one
    :param token: a token of Airflow's ``/auth/token``
    :param username: name to get a token with, where none is given
    :param password: password of *username*
    :param timeout_s: seconds to wait for the connection and for each read
    :raises AirflowApiError: if the URL or the token cannot be one
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        try:
            parts = urlsplit(url.strip())
        except ValueError as error:
            raise AirflowApiError(
                f"Airflow's URL cannot be read: {error}. Give it as in a browser"
            ) from error
        # Credentials within the URL are taken out of it, so that no message shows them.
        self.url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
        self._token = _checked_token(token)
        self._username = username or unquote(parts.username or "") or None
        self._password = password or unquote(parts.password or "")
        self._timeout_s = timeout_s

    def task_times(self, dag_id: str, run_id: str) -> tuple[TaskTimes, ...]:
        """Return the times of all task instances of a run, those of mapped tasks included.

        :param dag_id: DAG id
        :param run_id: DAG run id
        :raises AirflowApiError: where the API cannot be reached, refuses, or answers in a form that this
            version does not know
        """
        path = f"/api/v2/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}/taskInstances"
        try:
            return tuple(_task_times(item) for item in self._pages(path, "task_instances"))
        except (KeyError, TypeError, ValueError) as error:
            raise AirflowApiError(
                f"GET {self.url}{path} answered in an unknown form ({type(error).__name__}: {error}). "
                "This version reads the API of Airflow 3.1 to 3.3"
            ) from error

    def _pages(self, path: str, key: str) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            # Ordered by the primary key, so that no row slips from one page to another meanwhile.
            query = urlencode({"limit": _PAGE, "offset": offset, "order_by": "id"})
            answer = self._get(f"{path}?{query}")
            page = answer[key]
            yield from page
            offset += len(page)
            if not page or offset >= int(answer["total_entries"]):
                return

    def _get(self, path: str) -> dict[str, Any]:
        if self._token is None and self._username is not None:
            self._token = self._new_token(self._username, self._password)
        return http_json("GET", self.url + path, token=self._token, timeout_s=self._timeout_s)

    def _new_token(self, username: str, password: str) -> str:
        url = f"{self.url}/auth/token"
        answer = http_json(
            "POST", url, body={"username": username, "password": password}, timeout_s=self._timeout_s
        )
        token = answer.get("access_token")
        if not isinstance(token, str):
            raise AirflowApiError(
                f"POST {url} answered no access_token. This auth manager may hand out tokens elsewhere: "
                "get one there and give it instead of the user name and password"
            )
        return token


def _checked_token(token: str | None) -> str | None:
    token = token.strip() if token else None
    if token and (not token.isascii() or any(char.isspace() for char in token)):
        # http.client would say so too, but show the token.
        raise AirflowApiError("The Airflow token has spaces, line breaks or non-ASCII characters in it")
    return token or None


def _task_times(item: dict[str, Any]) -> TaskTimes:
    return TaskTimes(
        task_id=item["task_id"],
        map_index=item["map_index"],
        try_number=item["try_number"],
        scheduled_at=item["scheduled_when"],
        queued_at=item["queued_when"],
        started_at=item["start_date"],
        ended_at=item["end_date"],
        state=item["state"],
    )
