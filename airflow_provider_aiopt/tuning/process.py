"""The pipeline of one trial, in a process of its own: ``python -m airflow_provider_aiopt.tuning.process``.

Its standard input has a line of JSON that says what to run, see
:class:`~airflow_provider_aiopt.tuning.child.Work`, and then one for each command:

* ``{"measure": SECONDS}`` runs the sample again and again for as long, ``null`` for as long as it is let;
* ``{"answer": RECORDS}`` runs the first records of the sample to the end.

Its standard output has a line for each tick, and one where a command is done.  It ends when nobody reads
them any more.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.exceptions import AioptError
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.sampling import cut_sample
from airflow_provider_aiopt.runner.streaming import run_streaming
from airflow_provider_aiopt.spec.loading import load_spec

TICK_S = 0.05
"""Seconds: batches that end so close to the first of them make one tick; a line each would cost too much."""

LEAST_TICKS = 6
"""Of a measurement that is limited in time: a slow pipeline may take longer."""


class _EnoughError(Exception):
    """The time of a measurement is over."""


class _Ticks:
    """Says on standard output when batches got their results.

    :param output: file descriptor
    :param seconds: how long after the first results to go on, None for as long as it is let
    """

    def __init__(self, output: int, seconds: float | None) -> None:
        self._output = output
        self._seconds = seconds
        self._until: float | None = None
        self._began = self._last = 0.0
        self._records = 0
        self._latencies: list[float] = []
        self._told = 0

    def __call__(self, records: int, latency_s: float) -> None:
        now = time.perf_counter()
        if now - self._began > TICK_S:
            self.flush()
            self._began = now
        self._last = now
        self._records += records
        self._latencies.append(latency_s)
        if self._seconds is None:
            return
        if self._until is None:
            self._until = now + self._seconds
        if now >= self._until and self._told >= LEAST_TICKS:
            self.flush()
            raise _EnoughError

    def flush(self) -> None:
        """Tell what has not been told."""
        if self._latencies:
            try:
                say(self._output, {"at": self._last, "records": self._records, "latencies": self._latencies})
            except BrokenPipeError:  # within a run it would pass for an error of the storage
                raise _EnoughError from None
            self._told += 1
        self._records, self._latencies = 0, []


def say(output: int, event: Mapping[str, Any]) -> None:
    """Write a line of JSON, as a whole."""
    os.write(output, (json.dumps(event) + "\n").encode())


def _run(request: Mapping[str, Any], output: int) -> None:
    spec = load_spec(request["spec"])
    folder, listed = Path(request["folder"]), Workspace.open(request["listed"])

    def context(name: str, **more: Any) -> RunContext:
        return RunContext(
            spec=spec,
            workspace=Workspace.open(str(folder / name)),
            allowed_callables=tuple(request["allowed_callables"]),
            hardware_interval_s=0,
            **more,
        )

    def stream(name: str, records: int | None, **more: Any) -> None:
        run = context(name, **more)
        size = request["shard_records"]
        run_streaming(run, cut_sample(listed, run.workspace, shard_records=size, records=records))

    passes = 0
    for line in sys.stdin:
        command = json.loads(line)
        if (records := command.get("answer")) is not None:
            stream("answers", records)
        else:
            ticks = _Ticks(output, command["measure"])
            try:
                while True:
                    passes += 1
                    say(output, {"begin": time.perf_counter()})
                    stream(f"pass-{passes}", None, on_answers=ticks)
                    ticks.flush()
                    shutil.rmtree(folder / f"pass-{passes}", ignore_errors=True)
            except _EnoughError:
                shutil.rmtree(folder / f"pass-{passes}", ignore_errors=True)
        say(output, {"done": True})


def main() -> int:
    """Run what is asked.

    :returns: the exit code
    """
    # What a library prints is no line of ours.
    output = os.dup(1)
    os.dup2(2, 1)
    try:
        _run(json.loads(sys.stdin.readline()), output)
    except AioptError as error:
        say(output, {"error": f"{type(error).__name__}: {error}"})
        return 1
    except BrokenPipeError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
