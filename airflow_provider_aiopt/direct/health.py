"""Whether the service is well, for probes, and its numbers for Prometheus, over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Health:
    """The service at one moment.

    :param watching: whether every upload from now on is sure to be seen
    :param pending: batches whose run could not be created yet
    :param uploads: uploads that have a run by this instance
    :param runs: runs that this instance created
    :param duplicates: runs that were there already
    :param failures: attempts to create a run that failed
    :param latency_s: seconds from sighting to run, of the newest run
    :param trouble: what the last failure was, empty where there is none
    """

    watching: bool
    pending: int
    uploads: int
    runs: int
    duplicates: int
    failures: int
    latency_s: float | None
    trouble: str

    @property
    def ok(self) -> bool:
        """Whether uploads become runs."""
        return self.watching and not self.trouble


_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_HELP = {
    "uploads": ("counter", "Uploads that have a run by this instance."),
    "runs": ("counter", "Runs that this instance created."),
    "duplicates": ("counter", "Runs that were there already, by another instance or before a crash."),
    "failures": ("counter", "Attempts to create a run that failed."),
    "pending": ("gauge", "Batches whose run could not be created yet."),
    "watching": ("gauge", "1 when every upload from now on is sure to be seen."),
    "latency_s": ("gauge", "Seconds from the first sighting to the run, of the newest run."),
}


class HealthServer:
    """Answers ``/health`` (200 or 503, JSON) and ``/metrics`` (Prometheus' text format).

    :param host: address to listen on
    :param port: port, 0 for a free one
    :param health: called for each request
    """

    def __init__(self, host: str, port: int, health: Callable[[], Health]) -> None:
        self._server = ThreadingHTTPServer((host, port), _handler(health))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="aiopt-health", daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def exposition(health: Health) -> str:
    """Return *health* in Prometheus' text format."""
    lines = []
    for name, (kind, text) in _HELP.items():
        value = getattr(health, name)
        if value is None:
            continue
        unit = name.replace("latency_s", "latency_seconds")
        metric = f"ai_pipeline_watch_{unit}{'_total' if kind == 'counter' else ''}"
        lines += [f"# HELP {metric} {text}", f"# TYPE {metric} {kind}", f"{metric} {float(value):g}"]
    return "\n".join(lines) + "\n"


def reply(path: str, health: Health) -> tuple[int, str, str]:
    """Return the status, content type and text of the answer to a request for *path*."""
    if path == "/health":
        body = {"status": "ok" if health.ok else "failing", **_values(health)}
        return HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE, _JSON, json.dumps(body)
    if path == "/metrics":
        return HTTPStatus.OK, _PROMETHEUS, exposition(health)
    return HTTPStatus.NOT_FOUND, _TEXT, "There are /health and /metrics.\n"


def _handler(health: Callable[[], Health]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # seconds that a client may take over its request

        def do_GET(self) -> None:
            self._answer(*reply(self.path, health()))

        def _answer(self, status: int, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the overridden name
            """Say nothing: probes come every few seconds."""

    return Handler


def _values(health: Health) -> dict[str, Any]:
    return {name: getattr(health, name) for name in (*_HELP, "trouble")}
