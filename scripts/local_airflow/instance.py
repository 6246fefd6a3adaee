"""One Airflow of one's own, from start to stop."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from local_airflow.client import AirflowClient, Json
from local_airflow.errors import ApiError, StartError, tail
from local_airflow.home import USERNAME, Home, reserve_port
from local_airflow.postgresql import NAME as POSTGRESQL
from local_airflow.postgresql import PostgreSQL
from local_airflow.supervisor import Supervisor

COMPONENTS = ("api-server", "execution-api", "scheduler", "dag-processor", "triggerer")
"""The components.  ``api-server`` serves users, ``execution-api`` the tasks: two processes build their routes
at the same time, where one would build them one after the other."""

Database = Literal["sqlite", "postgresql"]
"""What Airflow may keep its state in."""

_MIGRATION = "db-migrate"
_SERVERS = ("api-server", "execution-api")
_HEARTBEATS = {
    "scheduler": ("scheduler", "latest_scheduler_heartbeat"),
    "dag-processor": ("dag_processor", "latest_dag_processor_heartbeat"),
    "triggerer": ("triggerer", "latest_triggerer_heartbeat"),
}


class LocalAirflow(AirflowClient):
    """A real Airflow on this machine with the LocalExecutor and a database of its own, and the client of it.

    ::

        with LocalAirflow(Path("home"), Path("dags")) as airflow:
            airflow.wait_for_dag("example")
            airflow.unpause("example")
            state = airflow.wait_for_run("example", airflow.trigger("example"))

    Several may run side by side, each in a home of its own.  Nothing of the caller's Airflow is used or
    changed, it listens on loopback only, and no process outlives the context, or the process that entered it.
    Linux only.

    :param home: the AIRFLOW_HOME; made where missing. A second start in the same home is quicker
    :param dags_folder: the folder with the DAG files
    :param database: ``sqlite``, or ``postgresql`` for a server that it starts and stops with the rest
    :param env: environment variables of the components, for example ``AIRFLOW__METRICS__STATSD_ON``
    :param extra_dags: further folders with DAG files
    :param base_path: what the path of each address begins with, as behind a proxy, such as ``/team/airflow``
    :param start_timeout: how many seconds the start may take
    :param grace_s: how many seconds components may take to end before they are killed
    :param most_restarts: how often each component may end unasked and is started again
    """

    components: tuple[str, ...] = COMPONENTS
    """What may be killed and restarted; a subclass may start more."""

    def __init__(
        self,
        home: Path,
        dags_folder: Path,
        *,
        database: Database = "sqlite",
        env: Mapping[str, str] | None = None,
        extra_dags: Sequence[Path] = (),
        base_path: str = "",
        start_timeout: float = 90.0,
        grace_s: float = 5.0,
        most_restarts: int = 0,
    ) -> None:
        self._home = Home(home, database)
        self._database = database
        self._dags = (dags_folder, *extra_dags)
        self._base_path = base_path
        self._start_timeout = start_timeout
        self._ports: dict[str, socket.socket] = {}
        self._server: PostgreSQL | None = None
        self._env = self._home.environment(env or {})
        self.supervisor = Supervisor(self._home.logs, self._env, grace_s=grace_s, most_restarts=most_restarts)
        self.started_at = datetime.now(UTC)
        super().__init__("", USERNAME, "", wait=self.watch)

    @property
    def home(self) -> Path:
        """The AIRFLOW_HOME; with it, ``airflow`` commands act on this Airflow."""
        return self._home.folder

    @property
    def logs(self) -> Path:
        """The folder with one log file per component; those of the tasks lie in ``tasks`` below it."""
        return self._home.logs

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it, whatever happened."""
        self.stop()

    def start(self) -> None:
        """Start all components and wait until they are healthy.

        :raises HomeInUseError: if another process runs an Airflow in the same home
        :raises ComponentExitedError: if a component ends
        :raises StartError: if it takes longer than ``start_timeout``
        """
        self._home.acquire()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop all components; returns when no process of them is left."""
        self.supervisor.close()
        self._http.close()
        for port in self._ports.values():
            port.close()
        self._ports.clear()
        self._home.release()

    def kill(self, component: str) -> None:
        """End a component and its descendants by SIGKILL, as a machine that fails would."""
        self.supervisor.kill(self._known(component))

    def restart(self, component: str) -> None:
        """Start a component again, having killed it where it still runs, and wait until it is healthy."""
        self.kill(component)
        since = datetime.now(UTC)
        self._launch(component)
        self._wait_until_healthy([component], since, time.monotonic() + self._start_timeout)

    def watch(self, seconds: float) -> None:
        """Wait for so many seconds, or until something happens to a component.

        :raises ComponentExitedError: if one ended although nobody had asked it to
        """
        self.supervisor.watch(seconds)

    def pids(self) -> dict[str, int]:
        """Return the process id of each component that runs."""
        return dict(self.supervisor.pids)

    def wait_for_dag(
        self, dag_id: str, *, file: str = "", timeout: float = 60.0, since: datetime | None = None
    ) -> Json:
        """Wait until the DAG has been parsed since the start, and return it."""
        return super().wait_for_dag(dag_id, file=file, timeout=timeout, since=since or self.started_at)

    def _start(self) -> None:
        deadline = time.monotonic() + self._start_timeout
        self._ports = {name: reserve_port() for name in _SERVERS}
        self._connect(self._url_of("api-server"), self._home.password)
        server = self._server = self._postgresql() if self._database == "postgresql" else None
        database_url = self._home.sqlite_url if server is None else server.url
        self._home.write_config(self._dags, self.url, self._url_of("execution-api"), database_url)
        self.started_at = datetime.now(UTC)
        fresh = self._home.needs_migration()
        self.supervisor.open()
        if server is not None:
            server.start(self.supervisor, self._env, deadline)
        self._launch_services(deadline)
        # The servers come first: they take longest, and build their routes while the database is made.
        for name in _SERVERS:
            self._launch(name)
        if fresh:
            self._migrate(deadline)
        for name in self.components:
            if name not in _SERVERS:
                self._launch(name)
        self._wait_until_healthy(self.components, self.started_at, deadline)

    def _launch_services(self, deadline: float) -> None:
        """Start what the components need besides the database; here, nothing."""

    def _postgresql(self) -> PostgreSQL:
        port = self._ports[POSTGRESQL] = reserve_port()
        return PostgreSQL(self._home.data, self._home.database_password, port.getsockname()[1])

    def _url_of(self, server: str) -> str:
        return f"http://127.0.0.1:{self._ports[server].getsockname()[1]}{self._base_path}"

    def _launch(self, name: str) -> None:
        if name in _SERVERS:
            apps = "core" if name == "api-server" else "execution"
            port = str(self._ports[name].getsockname()[1])
            self.supervisor.start(
                name,
                ("api-server", "--apps", apps, "--port", port),
                env={"AIRFLOW_API_APPS": apps},
                load="airflow.api_fastapi.main",
                after=str(self._home.stamp),
            )
        elif name == "dag-processor":
            self.supervisor.start(name, (name,))
        else:
            # Without log servers: they listen on every interface, and the files are on this machine anyway.
            self.supervisor.start(name, (name, "--skip-serve-logs"))

    def _migrate(self, deadline: float) -> None:
        self.supervisor.start(_MIGRATION, ("db", "migrate"))
        status = self.supervisor.wait_exit(_MIGRATION, deadline - time.monotonic())
        if status != 0:
            log = self.supervisor.log_of(_MIGRATION)
            raise StartError(f"`airflow db migrate` failed with exit code {status}.\n{tail(log)}")
        self._home.mark_migrated()

    def _wait_until_healthy(self, names: Sequence[str], since: datetime, deadline: float) -> None:
        while missing := self._unhealthy(names, since):
            if time.monotonic() > deadline:
                log = self.supervisor.log_of(missing[0])
                raise StartError(
                    f"Airflow's {' and '.join(missing)} did not become healthy within "
                    f"{self._start_timeout:.0f} s.\n{tail(log)}"
                )
            self.watch(0.1)

    def _known(self, component: str) -> str:
        if component not in self.components:
            raise ValueError(f"There is no component {component!r}; there are {', '.join(self.components)}.")
        return component

    def _unhealthy(self, names: Sequence[str], since: datetime) -> list[str]:
        try:
            health = self.health()
        except ApiError:
            return ["api-server"]
        missing = [name for name in names if name in _HEARTBEATS and not _beats(health, name, since)]
        if "execution-api" in names and not self._execution_api_answers():
            missing.append("execution-api")
        return missing

    def _execution_api_answers(self) -> bool:
        # The first request makes the server build its routes: better now than within the first task.
        try:
            self._send("GET", f"{self._url_of('execution-api')}/execution/health")
        except ApiError:
            return False
        return True


def _beats(health: Json, name: str, since: datetime) -> bool:
    # Only a heartbeat of this start counts: the home may remember healthy ones of the last.
    section, key = _HEARTBEATS[name]
    found = health.get(section) or {}
    return (
        found.get("status") == "healthy"
        and found.get(key) is not None
        and datetime.fromisoformat(found[key]) >= since
    )
