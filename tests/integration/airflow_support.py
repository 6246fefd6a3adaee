"""What the integration tests share besides fixtures."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
from components import requires, skip_absent
from local_airflow import postgresql

REPOSITORY = Path(__file__).parents[2]
MAX_LINES = 100_000


class StatsdReceiver:
    """Collects what StatsD clients send to a free loopback port, the newest :data:`MAX_LINES` lines."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._arrived = threading.Condition()
        self._thread = threading.Thread(target=self._receive, name="statsd-receiver", daemon=True)
        self._thread.start()

    def lines(self) -> list[str]:
        """Every metric line so far, such as ``airflow.ti.finish:1|c``."""
        with self._arrived:
            return list(self._lines)

    def clear(self) -> None:
        with self._arrived:
            self._lines.clear()

    def wait_for(self, pattern: str, *, timeout: float = 10.0) -> str:
        """Wait for a line that *pattern* is found in, and return the line."""
        deadline = time.monotonic() + timeout
        with self._arrived:
            while True:
                for line in self._lines:
                    if re.search(pattern, line):
                        return line
                if not self._arrived.wait(max(0.0, deadline - time.monotonic())):
                    sample = "\n".join(sorted({line.partition(":")[0] for line in self._lines})[:200])
                    pytest.fail(f"No metric like {pattern!r} came in {timeout} s. These did:\n{sample}")

    def close(self) -> None:
        # An empty packet wakes the thread; closing the socket alone would not.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            self._closing = True
            waker.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(5.0)
        self._socket.close()

    _closing = False

    def _receive(self) -> None:
        while not self._closing:
            packet = self._socket.recv(65_536)
            with self._arrived:
                self._lines.extend(packet.decode(errors="replace").splitlines())
                self._arrived.notify_all()


def statsd_env(port: int) -> dict[str, str]:
    """The settings by which an Airflow reports to a :class:`StatsdReceiver`."""
    return {
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(port),
    }


def requires_postgresql() -> None:
    """Skip unless PostgreSQL's server and Airflow's drivers for it are there."""
    if postgresql.programs() is None:
        skip_absent("postgresql", postgresql.INSTALL)
    for driver in ("asyncpg", "psycopg2"):
        requires(driver, "make install")


def processes_of(session: int) -> list[str]:
    """The command names of all processes in a session that are not yet gone."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                head, _, tail = (entry / "stat").read_text(errors="replace").rpartition(")")
            except OSError:
                continue
            state, _, _, of_session = tail.split()[:4]
            if int(of_session) == session and state != "Z":
                found.append(head.partition("(")[2] + f" [{entry.name}]")
    return found


def wait_until(condition: Callable[[], bool], what: str, *, timeout: float = 20.0) -> None:
    """Poll *condition* until it holds."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"After {timeout} s still not so: {what}")
        pause.wait(0.05)


def clean_environment() -> dict[str, str]:
    """The environment of a user who has no Airflow of their own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
