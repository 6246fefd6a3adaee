"""The parent's end of the nursery: starts components, hears of their exits, stops everything."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from local_airflow.errors import ComponentExitedError, StartError, tail

NURSERY = "nursery"
_SLACK_S = 5.0


class Supervisor:
    """Runs Airflow's components as descendants of one nursery process.

    :param logs: folder for one log file per component
    :param env: the whole environment of the components
    :param grace_s: how long they may take to end after SIGTERM before they are killed
    :param most_restarts: how often each may end unasked and is started again, as container runtimes do
    """

    def __init__(self, logs: Path, env: Mapping[str, str], *, grace_s: float, most_restarts: int = 0) -> None:
        self._logs = logs
        self._env = dict(env)
        self._grace_s = grace_s
        self._nursery: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._expected: set[str] = set()
        self._exits: dict[str, int] = {}
        self._commands: dict[str, dict[str, Any]] = {}
        self._most_restarts = most_restarts
        self.restarts: Counter[str] = Counter()
        self.pids: dict[str, int] = {}

    def log_of(self, name: str) -> Path:
        """Return the log file of a component."""
        return self._logs / f"{name}.log"

    @property
    def session(self) -> int | None:
        """The session id of all its processes, None while nothing runs."""
        return None if self._nursery is None else self._nursery.pid

    def open(self) -> None:
        """Start the nursery; it accepts commands at once and obeys them as soon as Airflow is imported."""
        self._logs.mkdir(parents=True, exist_ok=True)
        script = Path(__file__).with_name("nursery.py")
        with self.log_of(NURSERY).open("ab") as log:
            self._nursery = subprocess.Popen(
                [sys.executable, "-P", str(script), str(os.getpid()), str(self._grace_s)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._env,
                # A session of its own: Ctrl-C reaches the parent, which stops the rest in order.
                start_new_session=True,
            )

    def start(self, name: str, argv: Sequence[str], **options: object) -> None:
        """Start the component *name* as ``airflow *argv``; see :meth:`start_program` for other programs.

        :param name: what to call it; its log is named after it
        :param argv: the command line after ``airflow``
        :param options: further entries of the nursery's start command
        """
        self._expected.discard(name)
        self._exits.pop(name, None)
        self._commands[name] = {
            "start": name,
            "argv": list(argv),
            "log": str(self.log_of(name)),
            **options,
        }
        self._send(self._commands[name])

    def start_program(
        self,
        name: str,
        argv: Sequence[str],
        *,
        folder: Path,
        user: str | None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start a program that the components need; it is stopped after them, by SIGINT.

        :param name: what to call it; its log is named after it
        :param argv: its path and arguments; ``{folder}`` stands for the folder
        :param folder: a folder that is opened for it, so that *user* needs no way to it
        :param user: who is to run it, None for whoever runs this
        :param env: variables beside those of all components
        """
        self.start(name, argv, folder=str(folder), user=user, env=dict(env or {}))

    def kill(self, name: str, *, timeout: float = 10.0) -> None:
        """End a component and its descendants by SIGKILL, and wait until it is gone."""
        self._expected.add(name)
        if name not in self._exits:
            self._send({"kill": name})
            self.wait_exit(name, timeout)

    def wait_exit(self, name: str, timeout: float) -> int:
        """Wait until the component *name* ends by itself, and return its status.

        :raises StartError: if it has not ended after *timeout* seconds
        """
        self._expected.add(name)
        deadline = time.monotonic() + timeout
        while name not in self._exits:
            if time.monotonic() > deadline:
                raise StartError(
                    f"Airflow's {name} had not ended after {timeout:.0f} s.\n{tail(self.log_of(name))}"
                )
            self.watch(0.2)
        return self._exits[name]

    def watch(self, timeout: float) -> None:
        """Wait for *timeout* seconds, or until something happens to a component.

        :raises ComponentExitedError: if one ended although nobody had asked it to, and has been started again
            too often
        """
        for event in self._events(timeout):
            name = event.get("name", NURSERY)
            if event["event"] == "started":
                self.pids[name] = event["pid"]
            elif event["event"] == "exited":
                self.pids.pop(name, None)
                self._exits[name] = event["status"]
        for name in self._exits.keys() - self._expected:
            if self.restarts[name] >= self._most_restarts:
                raise ComponentExitedError(name, self._exits[name], self.log_of(name))
            self.restarts[name] += 1
            del self._exits[name]
            self._send(self._commands[name])

    def close(self) -> None:
        """Stop all components and the nursery; returns when no process of them is left."""
        nursery, self._nursery = self._nursery, None
        if nursery is None:
            return
        # Both: the pipe may have been inherited by another child of this process, and a nursery that still
        # imports Airflow does not read it.
        with contextlib.suppress(BrokenPipeError):
            _pipe(nursery.stdin).close()
        nursery.terminate()
        try:
            # Twice: first the components, then the programs that they need.
            nursery.wait(2 * self._grace_s + _SLACK_S)
        except subprocess.TimeoutExpired:
            nursery.kill()
            nursery.wait()
        finally:
            _pipe(nursery.stdout).close()
            self.pids.clear()

    def _send(self, command: Mapping[str, Any]) -> None:
        try:
            pipe = _pipe(self._running().stdin)
            pipe.write(json.dumps(command).encode() + b"\n")
            pipe.flush()
        except BrokenPipeError:
            raise self._nursery_ended() from None

    def _events(self, timeout: float) -> list[dict[str, Any]]:
        pipe = _pipe(self._running().stdout)
        if not select.select([pipe], [], [], timeout)[0]:
            return []
        data = os.read(pipe.fileno(), 65536)
        if not data:
            raise self._nursery_ended()
        *lines, self._unread = (self._unread + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._nursery is None:
            raise StartError("This Airflow is not running: call start() or enter its context first.")
        return self._nursery

    def _nursery_ended(self) -> ComponentExitedError:
        return ComponentExitedError(NURSERY, self._running().wait(_SLACK_S), self.log_of(NURSERY))


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise TypeError("the nursery is started with pipes")
    return stream
