"""What it costs a process to be stopped by a tracer, measured on a process of the same kind."""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType
from typing import Self

# Works whenever it reads a line, and answers with what the work has measured.
_PROGRAM = """
import os, sys, time
work = {work!r}
names = dict(os=os, clock=time.perf_counter)
print("ready", flush=True)
for _ in sys.stdin:
    names["seconds"] = []
    exec(work, names)
    print(*names["seconds"], flush=True)
"""


class CalibrationProcess:
    """A process that does the same work over and over, with and without a tracer.

    :param work: the work, a Python program that finds :mod:`os` and ``clock`` and adds what it measures to
        ``seconds``
    """

    def __init__(self, work: str) -> None:
        program = _PROGRAM.format(work=work)
        self._process = subprocess.Popen(  # noqa: S603 - this Python and a program of our own
            [sys.executable, "-I", "-S", "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def __enter__(self) -> Self:
        """Wait until it can work."""
        if self._read() != "ready":
            raise RuntimeError("the process for measuring the tracer's cost did not start")
        return self

    def measure(self) -> list[float]:
        """Have it work once and return what that has measured, in seconds."""
        if self._process.stdin is None:
            raise RuntimeError("the process takes no orders")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return [float(word) for word in self._read().split()]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.kill()
        self._process.wait()

    def _read(self) -> str:
        return "" if self._process.stdout is None else self._process.stdout.readline().strip()
