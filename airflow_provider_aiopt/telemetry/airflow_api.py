"""A client of Airflow's public API: the times of a run's tasks, the pools and the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

from airflow_provider_aiopt.exceptions import AirflowApiError
from airflow_provider_aiopt.telemetry.http_json import exchange_json, http_json
from airflow_provider_aiopt.telemetry.reports import TaskTimes

_T = TypeVar("_T")
_PAGE = 100  # Airflow's own default of [api] maximum_page_limit

_RUN_REMEDIES = {
    403: "Get a new token, or ask for read access to this DAG's runs and task instances",
    404: "Check the URL (with its path prefix, without /api/v2) and that the DAG run still exists",
}
_POOL_REMEDIES = {403: "Get a new token, or ask for permission to read, create and edit pools"}
_CREATE_REMEDIES = {
    400: "Airflow finds the DAG's params or the run's id wrong: see its answer",
    403: "Get a new token, or ask for permission to create runs of this DAG",
    404: "Check the URL (with its path prefix, without /api/v2) and that Airflow knows the DAG",
}
_DAG_REMEDIES = {403: "Get a new token, or ask for read access to the DAGs"}
_KEYS = {"dags": "dag_id"}
"""Primary keys that are not ``id``."""
_EXPIRED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_CONFIG_REMEDIES = {
    403: "Set [api] expose_config = True there (sensitive values stay hidden) and give a token that may read "
    "the configuration, or run this as `airflow aiopt ...` on a machine of the deployment"
}


@dataclass(frozen=True, slots=True)
class AirflowPool:
    """A pool as Airflow has it.

    :param name: its name
    :param slots: how many slots it has, -1 for any number
    :param include_deferred: whether deferred tasks hold their slots
    """

    name: str
    slots: int
    include_deferred: bool


class AirflowApi:
    """A client for what this package asks of Airflow's API.

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
        return self._all(path, "task_instances", _task_times, _RUN_REMEDIES)

    def queued_s(self, dag_id: str, run_id: str) -> float | None:
        """Return how long a run waited until the scheduler began it, None where it has not or does not tell.

        :param dag_id: DAG id
        :param run_id: DAG run id
        :raises AirflowApiError: as :meth:`task_times`
        """
        path = f"/api/v2/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"
        answer = self._request("GET", path, remedies=_RUN_REMEDIES)
        with self._known_form(path):
            queued, started = answer.get("queued_at"), answer.get("start_date")
            if not queued or not started:
                return None
            waited = datetime.fromisoformat(started) - datetime.fromisoformat(queued)
            return max(0.0, waited.total_seconds())

    def create_run(self, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> bool:
        """Create a run that is due at once.

        :param dag_id: the DAG
        :param run_id: the run's id
        :param conf: the run's configuration
        :returns: False where the DAG has a run of this id
        :raises AirflowApiError: as :meth:`task_times`
        """
        # A second ago: SQLite's clock has whole seconds, and a run of this moment would wait for the next.
        due = datetime.now(UTC) - timedelta(seconds=1)
        body = {
            "dag_run_id": run_id,
            "logical_date": None,
            "run_after": due.isoformat(),
            "conf": dict(conf),
        }
        path = f"/api/v2/dags/{quote(dag_id, safe='')}/dagRuns"
        try:
            self._request("POST", path, body=body, remedies=_CREATE_REMEDIES)
        except AirflowApiError as error:
            if error.status == HTTPStatus.CONFLICT:
                return False
            raise
        return True

    def pools(self) -> dict[str, AirflowPool]:
        """Return all pools that the user may see, by name.

        :raises AirflowApiError: as :meth:`task_times`
        """
        found = self._all("/api/v2/pools", "pools", _pool, _POOL_REMEDIES)
        return {pool.name: pool for pool in found}

    def create_pool(self, pool: AirflowPool, description: str) -> None:
        """Make a pool.

        :param pool: what it shall be
        :param description: for the list of pools in Airflow's UI
        :raises AirflowApiError: as :meth:`task_times`; with the status 409 where there is one of this name
        """
        body = {
            "name": pool.name,
            "slots": pool.slots,
            "include_deferred": pool.include_deferred,
            "description": description,
        }
        self._request("POST", "/api/v2/pools", body=body, remedies=_POOL_REMEDIES)

    def update_pool(self, pool: AirflowPool) -> None:
        """Give an existing pool other slots, and let it count deferred tasks or not.

        :raises AirflowApiError: as :meth:`task_times`
        """
        body = {"pool": pool.name, "slots": pool.slots, "include_deferred": pool.include_deferred}
        # The mask keeps the description, which Airflow 3.1 would ask for otherwise.
        mask = urlencode([("update_mask", "slots"), ("update_mask", "include_deferred")])
        path = f"/api/v2/pools/{quote(pool.name, safe='')}?{mask}"
        self._request("PATCH", path, body=body, remedies=_POOL_REMEDIES)

    def configuration(self) -> dict[str, dict[str, str]]:
        """Return the configuration of the API server, by section and option.

        :raises AirflowApiError: as :meth:`task_times`; with the status 403 where it is not exposed
        """
        path = "/api/v2/config"
        answer = self._request("GET", path, remedies=_CONFIG_REMEDIES)
        with self._known_form(path):
            return {
                section["name"]: {option["key"]: str(option["value"]) for option in section["options"]}
                for section in answer["sections"]
            }

    def health(self) -> tuple[dict[str, Any], str | None]:
        """Return what Airflow's components say of themselves, and the time at which the server answered.

        It needs no token.

        :returns: the answer of ``/api/v2/monitor/health``, and the HTTP date, None where there is none
        :raises AirflowApiError: as :meth:`task_times`
        """
        answer, headers = exchange_json("GET", f"{self.url}/api/v2/monitor/health", timeout_s=self._timeout_s)
        return answer, headers["Date"]

    def dags(self, *, paused: bool) -> list[dict[str, Any]]:
        """Return the DAGs that there are, as the API has them.

        :param paused: whether those that are paused, or those that are not
        :raises AirflowApiError: as :meth:`task_times`
        """
        return list(self._all(f"/api/v2/dags?paused={str(paused).lower()}", "dags", dict, _DAG_REMEDIES))

    def tasks(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the tasks of a DAG, as the API has them.

        :raises AirflowApiError: as :meth:`task_times`
        """
        path = f"/api/v2/dags/{quote(dag_id, safe='')}/tasks"
        answer = self._request("GET", path, remedies=_DAG_REMEDIES)
        with self._known_form(path):
            return list(answer["tasks"])

    def _all(
        self, path: str, key: str, read: Callable[[dict[str, Any]], _T], remedies: Mapping[int, str]
    ) -> tuple[_T, ...]:
        with self._known_form(path):
            return tuple(read(item) for item in self._pages(path, key, remedies))

    @contextmanager
    def _known_form(self, path: str) -> Iterator[None]:
        try:
            yield
        except (KeyError, TypeError, ValueError) as error:
            raise AirflowApiError(
                f"GET {self.url}{path} answered in an unknown form ({type(error).__name__}: {error}). "
                "This version reads the API of Airflow 3.1 to 3.3"
            ) from error

    def _pages(self, path: str, key: str, remedies: Mapping[int, str]) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            # Ordered by the primary key, so that no row slips from one page to another meanwhile.
            query = urlencode({"limit": _PAGE, "offset": offset, "order_by": _KEYS.get(key, "id")})
            answer = self._request("GET", f"{path}{'&' if '?' in path else '?'}{query}", remedies=remedies)
            page = answer[key]
            yield from page
            offset += len(page)
            if not page or offset >= int(answer["total_entries"]):
                return

    def _request(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, remedies: Mapping[int, str]
    ) -> dict[str, Any]:
        is_fresh = self._token is None
        if is_fresh:
            self._renew_token()
        try:
            return self._send(method, path, body, remedies)
        except AirflowApiError as error:
            # Airflow answers 403, too, to a token that has expired.
            if is_fresh or self._username is None or error.status not in _EXPIRED:
                raise
        self._renew_token()
        return self._send(method, path, body, remedies)

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, remedies: Mapping[int, str]
    ) -> dict[str, Any]:
        return http_json(
            method,
            self.url + path,
            token=self._token,
            body=body,
            timeout_s=self._timeout_s,
            remedies=remedies,
        )

    def _renew_token(self) -> None:
        if self._username is not None:
            self._token = self._new_token(self._username, self._password)

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
        pool=item.get("pool"),
    )


def _pool(item: dict[str, Any]) -> AirflowPool:
    return AirflowPool(
        name=str(item["name"]),
        slots=int(item["slots"]),
        include_deferred=bool(item["include_deferred"]),
    )
