"""statsd_exporter, Prometheus and Alertmanager for tests, each on free ports of loopback."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from airflow_support import REPOSITORY, wait_until
from components import CACHE, alone, requires_program, requires_success
from redis_server import free_port

MAPPING = REPOSITORY / "airflow_provider_aiopt" / "telemetry" / "statsd_mapping.yaml"
EXPORTER_SOURCE = Path(__file__).parent / "monitoring" / "statsd_exporter"
EXPORTER = "github.com/prometheus/statsd_exporter"


def get(url: str) -> str:
    """What a server answers to a GET request."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


class Server:
    """A program that listens on loopback and is ended with the tests.

    :param command: the program and its arguments
    :param port: where it listens
    :param folder: its log goes there
    """

    def __init__(self, command: Sequence[str], port: int, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            wait_until(self._is_ready, f"{Path(command[0]).name} is ready", timeout=60)
        except BaseException:
            self.stop()
            raise

    def _is_ready(self) -> bool:
        # Prometheus listens, and answers 503 to queries, before it has replayed its write-ahead log.
        assert self._process.poll() is None, self.log.read_text()
        try:
            get(f"{self.url}/-/ready")
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """Kill it and wait for its end."""
        self._process.kill()
        self._process.wait()


def statsd_exporter_program() -> Path:
    """Build statsd_exporter with Go, unless it is built already, or skip."""
    program = CACHE / "statsd_exporter"
    # go.mod names modules that the Go of Debian 12, 1.19, can build; -C is not known to it.
    command = ["go", "build", "-o", str(program), EXPORTER]
    how = "needs Go and a module proxy that it reaches"
    with alone("statsd_exporter"):
        requires_success("statsd_exporter", command, how, cwd=EXPORTER_SOURCE)
    return program


class StatsdExporter(Server):
    """statsd_exporter, built by Go.

    :param folder: its log goes there
    :param mapping: its mapping file; that of the package by default
    """

    def __init__(self, folder: Path, mapping: Path = MAPPING) -> None:
        program = statsd_exporter_program()
        port, self.udp_port = free_port(), free_port()
        options = {
            "web.listen-address": f"127.0.0.1:{port}",
            "statsd.listen-udp": f"127.0.0.1:{self.udp_port}",
            "statsd.listen-tcp": "",
            "statsd.mapping-config": str(mapping),
        }
        super().__init__([str(program), *_flags(options)], port, folder)

    def metrics(self) -> str:
        """All metrics in Prometheus' text format."""
        return get(f"{self.url}/metrics")


class Alertmanager(Server):
    """Debian's Alertmanager.

    :param configuration: its configuration file
    :param folder: its data and log go there
    """

    def __init__(self, configuration: Path, folder: Path) -> None:
        program = requires_program("prometheus-alertmanager", "apt-get install prometheus-alertmanager")
        port = free_port()
        options = {
            "config.file": str(configuration),
            "storage.path": str(folder / "data"),
            "web.listen-address": f"127.0.0.1:{port}",
            "cluster.listen-address": "",
        }
        super().__init__([program, *_flags(options)], port, folder)


class Prometheus(Server):
    """Debian's Prometheus.

    :param configuration: its configuration file
    :param folder: its data and log go there
    """

    def __init__(self, configuration: Path, folder: Path) -> None:
        program = requires_program("prometheus", "apt-get install prometheus")
        port = free_port()
        options = {
            "config.file": str(configuration),
            "storage.tsdb.path": str(folder / "data"),
            "web.listen-address": f"127.0.0.1:{port}",
            # As often as the rules are evaluated in tests: what has changed is sent at once in any case.
            "rules.alert.resend-delay": "1s",
        }
        super().__init__([program, *_flags(options)], port, folder)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector that an expression has now."""
        answer = get(f"{self.url}/api/v1/query?query={urllib.parse.quote(expression)}")
        return list(json.loads(answer)["data"]["result"])


class Arrived(NamedTuple):
    """One alert of a webhook's message, and when it came by :func:`time.monotonic`."""

    at: float
    alert: dict[str, Any]


class Webhook:
    """Takes what Alertmanager sends."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                now = time.monotonic()
                outer.arrived += [Arrived(now, alert) for alert in json.loads(content)["alerts"]]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/alerts"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def wait_for(
        self, name: str, status: str, *, timeout: float, meanwhile: Callable[[], object] = lambda: None
    ) -> Arrived:
        """Wait for an alert and return it.

        :param name: the alert's name
        :param status: ``firing`` or ``resolved``
        :param timeout: how long to wait, in seconds
        :param meanwhile: called again and again until it has come
        """
        found: list[Arrived] = []

        def has_come() -> bool:
            meanwhile()
            found[:] = [
                item
                for item in list(self.arrived)
                if item.alert["labels"]["alertname"] == name and item.alert["status"] == status
            ]
            return bool(found)

        wait_until(has_come, f"the alert {name} is {status}", timeout=timeout)
        return found[0]

    def stop(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def _flags(options: dict[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]
