"""A trial's process, as seen by the tuner: what it says, what it uses, and how it ends."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, Self

from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.telemetry.hardware.processes import ProcessTree
from airflow_provider_aiopt.tuning.measuring import Tick

MODULE = "airflow_provider_aiopt.tuning.process"

_MEMORY_EVERY_S = 0.05
_ERROR_LINES = 3
_ENDING_S = 5.0


class TrialFailedError(Exception):
    """A trial's process crashed, hung or raised; its message is the reason."""


class TooMuchMemoryError(TrialFailedError):
    """A trial's process used more memory than it may, and was ended."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a trial's process runs.

    :param spec: the pipeline, its results in the workspace
    :param folder: the process's own, for its runs
    :param listed: the workspace with the listed sample
    :param shard_records: records of one shard
    :param allowed_callables: prefixes of the dotted paths that the spec may name
    """

    spec: PipelineSpec
    folder: str
    listed: str
    shard_records: int
    allowed_callables: tuple[str, ...] = ()

    def request(self) -> Mapping[str, Any]:
        """Return it as plain values."""
        return {
            "spec": json.loads(self.spec.to_json()),
            "folder": self.folder,
            "listed": self.listed,
            "shard_records": self.shard_records,
            "allowed_callables": list(self.allowed_callables),
        }


@dataclass(frozen=True, slots=True)
class Begin:
    """Another pass over the sample begins.

    :param at: when, in seconds of the ticks' clock
    """

    at: float


class Child:
    """A trial's process; a context manager that leaves none of it behind.

    What may hold a secret, such as ``storage_options``, goes through a pipe and not on its command line.

    :param work: what it runs
    :param stall_s: seconds without any word from it after which it counts as hung
    :param memory_limit_bytes: resident memory of it and its descendants at which it is ended
    """

    def __init__(self, work: Work, *, stall_s: float, memory_limit_bytes: int | None = None) -> None:
        self._work = work
        self._stall_s = stall_s
        self._memory_limit = memory_limit_bytes
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._over = threading.Event()
        self._ended = threading.Event()
        self.peak_memory_bytes = 0

    def __enter__(self) -> Self:
        """Start it."""
        self._errors = tempfile.TemporaryFile()
        # In a session of its own: Ctrl-C is for the tuner, which then ends the whole group.
        self._process = subprocess.Popen(  # noqa: S603 - this package's own module
            [sys.executable, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        self._threads = [
            threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._watch, daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        self._send(self._work.request())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it and all that it started."""
        self._ended.set()
        self._kill()
        self._process.wait()
        for thread in self._threads:
            thread.join(_ENDING_S)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        self._errors.close()

    def measure(self, seconds: float | None = None) -> Iterator[Tick | Begin]:
        """Run the sample and yield what happens; over when the time is.

        :param seconds: how long from the first results on; None: until the process is ended
        :raises TrialFailedError: if it fails
        """
        self._send({"measure": seconds})
        while not (event := self._next()).get("done"):
            if "begin" in event:
                yield Begin(event["begin"])
            else:
                yield Tick(event["at"], event["records"], tuple(event["latencies"]))

    def answer(self, records: int) -> str:
        """Run the first records of the sample to the end, and return the workspace of that run.

        :param records: how many
        :raises TrialFailedError: if it fails
        """
        self._send({"answer": records})
        self._next()
        return f"{self._work.folder}/answers"

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        with suppress(BrokenPipeError):  # that it has ended is what is heard next
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def _next(self) -> Mapping[str, Any]:
        try:
            line = self._lines.get(timeout=self._stall_s)
        except queue.Empty:
            raise TrialFailedError(
                f"hung: no batch got its results for {self._stall_s:g} s; it used up to "
                f"{self.peak_memory_bytes / 2**20:.0f} MiB"
            ) from None
        if self._over.is_set():
            raise TooMuchMemoryError(
                f"used {self.peak_memory_bytes / 2**20:.0f} MiB, above the limit of "
                f"{(self._memory_limit or 0) / 2**20:.0f} MiB"
            )
        if line is None:
            raise TrialFailedError(self._reason())
        event: Mapping[str, Any] = json.loads(line)
        if "error" in event:
            raise TrialFailedError(event["error"])
        return event

    def _reason(self) -> str:
        """Say how a process ended that said nothing of it."""
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()[-_ERROR_LINES:]
        told = f": {' | '.join(said)}" if said else ""
        if code >= 0:
            return f"ended with exit code {code}{told}"
        hint = ", as by the kernel where memory runs out" if -code == signal.SIGKILL else ""
        return (
            f"was ended by {signal.Signals(-code).name}{hint}; it used up to "
            f"{self.peak_memory_bytes / 2**20:.0f} MiB{told}"
        )

    def _listen(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._lines.put(line)
        self._lines.put(None)

    def _watch(self) -> None:
        tree = ProcessTree(pid=self._process.pid)
        while not self._ended.wait(_MEMORY_EVERY_S):
            self.peak_memory_bytes = max(self.peak_memory_bytes, tree.read().memory_bytes or 0)
            if self._memory_limit is not None and self.peak_memory_bytes > self._memory_limit:
                self._over.set()
                self._kill()
                self._lines.put(b"{}")  # wakes whoever waits for a line
                return

    def _kill(self) -> None:
        # Not yet waited for, so its id is its own; the group holds what it started, too.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
