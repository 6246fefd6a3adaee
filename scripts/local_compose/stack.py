"""The services of ``docker-compose.yaml``, started as processes."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml
from compose_env import EXAMPLE, filled, variables
from local_airflow import COMPONENTS, LocalAirflow, StartError
from local_airflow.errors import tail
from local_airflow.home import reserve_port
from local_airflow.postgresql import NAME as POSTGRESQL

from local_compose import hostnames
from local_compose.compose_file import ROOT, load
from local_compose.places import Places, free_udp_port

SERVICES = ("redis", "statsd-exporter", "prometheus", "alertmanager")
"""What runs beside PostgreSQL and Airflow.  Grafana is not among them: it only reads."""

_TCP_PORTS = {"redis": 6379, "statsd-exporter": 9102, "prometheus": 9090, "alertmanager": 9093}
_STATSD = ("statsd-exporter", 9125)
_MOST_RESTARTS = 60

_OF_THE_HOME = (
    "AIRFLOW__API__BASE_URL",
    "AIRFLOW__CELERY__RESULT_BACKEND",
    "AIRFLOW__CORE__AUTH_MANAGER",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK",
)
"""Settings that a local Airflow has of its own: two API servers, a database on a port that is known late, the
simple auth manager, whose users need no table.  Without a result backend Airflow takes the database, which is
what the file says.  The scheduler's health server has a fixed port on all interfaces."""


@dataclass(frozen=True)
class Programs:
    """Where the programs of the services are.

    :param statsd_exporter: as built with Go
    :param prometheus: Debian's or another
    :param alertmanager: Debian's or another
    """

    statsd_exporter: Path
    prometheus: str = "prometheus"
    alertmanager: str = "prometheus-alertmanager"

    def of(self, service: str) -> str:
        """Return the path of a service's program."""
        name = {
            "statsd-exporter": str(self.statsd_exporter),
            "prometheus": self.prometheus,
            "alertmanager": self.alertmanager,
        }[service]
        found = shutil.which(name)
        if found is None:
            raise StartError(f"There is no program {name!r} for the service {service}. Install it first.")
        return found


@dataclass(frozen=True)
class Worker:
    """A Celery worker.

    :param cores: the cores that it and its tasks may use, None for all
    :param queues: what it serves, comma-separated, None for what the file says
    """

    cores: Sequence[int] | None = None
    queues: str | None = None


class LocalCompose(LocalAirflow):
    """The services of ``docker-compose.yaml`` on this machine: real ones, without containers.

    Commands, variables, configuration files and secrets are those of the file, with the hosts, ports and
    folders of this machine in their place.  What ends unasked is started again, as by the file.

    :param home: a folder for everything
    :param programs: where the programs are
    :param dags_folder: folder with the DAG files, None for what the file mounts
    :param workers: the Celery workers
    :param env: further variables of all components
    :param extra_dags: further folders with DAG files
    :param scrape_s: seconds between two scrapes, and between two evaluations of the rules
    :param start_timeout: how many seconds the start may take
    """

    def __init__(
        self,
        home: Path,
        programs: Programs,
        *,
        dags_folder: Path | None = None,
        workers: Sequence[Worker] = (Worker(), Worker()),
        env: Mapping[str, str] | None = None,
        extra_dags: Sequence[Path] = (),
        scrape_s: int = 15,
        start_timeout: float = 120.0,
    ) -> None:
        self._programs = programs
        self._scrape_s = scrape_s
        self._services = load(variables(_env_file(home).read_text(encoding="utf-8")))
        self._workers = {f"worker-{number}": worker for number, worker in enumerate(workers, start=1)}
        self.components = (*COMPONENTS, *self._workers)
        self._held = {name: reserve_port() for name in SERVICES}
        ports = {(name, _TCP_PORTS[name]): _port(held) for name, held in self._held.items()}
        ports[_STATSD] = free_udp_port()
        self._places = Places(ports, home.resolve() / "volumes")
        worker = self._services["worker"]
        super().__init__(
            home,
            dags_folder or next(Path(m.source) for m in worker.mounts if m.target.endswith("/dags")),
            database="postgresql",
            env={**self._places.environment(worker, _OF_THE_HOME), **_python_path(), **(env or {})},
            extra_dags=extra_dags,
            start_timeout=start_timeout,
            grace_s=10.0,
            most_restarts=_MOST_RESTARTS,
        )

    @property
    def workers(self) -> tuple[str, ...]:
        """The Celery workers, by their names and those of their hosts."""
        return tuple(self._workers)

    def url_of(self, service: str) -> str:
        """Return where a service answers HTTP."""
        return f"http://127.0.0.1:{_port(self._held[service])}"

    def volume(self, name: str) -> Path:
        """Return the folder of a named volume."""
        return self._places.volumes / name

    def stop(self) -> None:
        """Stop everything; returns when no process is left."""
        super().stop()
        for held in self._held.values():
            held.close()

    def restart(self, component: str, *, down_s: float = 0.0) -> None:
        """Kill a component or service by SIGKILL, leave it down for a while, and start it again.

        :param component: its name; ``postgresql`` and :data:`SERVICES` are known as well
        :param down_s: how long it stays away
        """
        self.kill(component)
        self.watch_for(down_s)
        super().restart(component)

    def watch_for(self, seconds: float) -> None:
        """Wait for so many seconds, whatever happens to the components meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.watch(left)

    def _known(self, component: str) -> str:
        if component in (POSTGRESQL, *SERVICES):
            return component
        return super()._known(component)

    def _launch_services(self, deadline: float) -> None:
        for name in ("worker", *SERVICES):
            for mount in self._services[name].mounts:
                if mount.kind == "volume":
                    self.volume(mount.source).mkdir(parents=True, exist_ok=True)
        for name in SERVICES:
            self._launch(name)
        while missing := [name for name in SERVICES if not self._answers(name)]:
            if time.monotonic() > deadline:
                raise StartError(f"{missing[0]} is not ready.\n{tail(self.supervisor.log_of(missing[0]))}")
            self.watch(0.1)

    def _launch(self, name: str) -> None:
        if name in self._workers:
            self._launch_worker(name)
        elif name == POSTGRESQL:
            if self._server is not None:
                self._server.start(self.supervisor, self._env, time.monotonic() + self._start_timeout)
        elif name in SERVICES:
            env = self._places.environment(self._services[name], ())
            self.supervisor.start_program(name, self._command(name), folder=self.home, user=None, env=env)
        else:
            super()._launch(name)

    def _launch_worker(self, name: str) -> None:
        worker = self._workers[name]
        command = list(self._services["worker"].command)
        if worker.queues is not None:
            command[command.index("--queues") + 1] = worker.queues
        # A log of an earlier start would tell that this one is ready.
        self.supervisor.log_of(name).unlink(missing_ok=True)
        self.supervisor.start(
            name,
            [*command, "--celery-hostname", name, "--skip-serve-logs"],
            env={hostnames.VARIABLE: name},
            **({} if worker.cores is None else {"cores": list(worker.cores)}),
        )

    def _command(self, name: str) -> list[str]:
        service = self._services[name]
        if name == "redis":
            shell, *rest = (self._places.path(service, part) for part in service.command)
            where = f"redis-server --bind 127.0.0.1 --port {_port(self._held[name])} -"
            return [shutil.which(shell) or shell, *(part.replace("redis-server -", where) for part in rest)]
        arguments = [self._places.argument(service, part) for part in service.command]
        for mount in service.mounts:
            if name in ("prometheus", "alertmanager") and mount.kind == "bind":
                local = str(self._localised(Path(mount.source)))
                arguments = [part.replace(mount.source, local) for part in arguments]
        return [self._programs.of(name), *arguments]

    def _localised(self, source: Path) -> Path:
        """Copy a folder of configuration files with the addresses of this machine in them."""
        target = self.home / "configuration" / source.name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
        for path in target.glob("*.yaml"):
            content = yaml.safe_load(self._places.addresses(path.read_text(encoding="utf-8")))
            if "global" in content:
                intervals = ("scrape_interval", "evaluation_interval")
                content["global"] |= dict.fromkeys(intervals, f"{self._scrape_s}s")
            path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return target

    def _unhealthy(self, names: Sequence[str], since: datetime) -> list[str]:
        missing = [name for name in names if name in SERVICES and not self._answers(name)]
        missing += [name for name in names if name in self._workers and not self._is_ready(name)]
        return missing + super()._unhealthy(names, since)

    def _is_ready(self, worker: str) -> bool:
        log = self.supervisor.log_of(worker)
        return log.exists() and f"@{worker} ready" in log.read_text(encoding="utf-8", errors="replace")

    def _answers(self, service: str) -> bool:
        if service == "redis":
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", _port(self._held[service]))) == 0
        try:
            # Prometheus listens, and answers 503, before it has replayed its write-ahead log.
            with urllib.request.urlopen(f"{self.url_of(service)}/-/ready", timeout=5) as answer:  # noqa: S310
                return bool(answer.status == http.client.OK)
        except OSError:
            return False


def _env_file(home: Path) -> Path:
    # Kept with the home: its database knows the secrets.
    path = home / ".env"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(filled(EXAMPLE.read_text(encoding="utf-8")), encoding="utf-8")
    return path


def _port(held: socket.socket) -> int:
    return int(held.getsockname()[1])


def _python_path() -> dict[str, str]:
    # The components import the name of their host from here.
    paths = [str(ROOT / "scripts"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "PYTHONPATH": os.pathsep.join(paths),
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": f"{hostnames.__name__}.{hostnames.hostname.__name__}",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    }
