"""What it costs a process to be stopped by a tracer, measured on a process of the same kind."""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType
from typing import Self

# Works whenever it reads a line, and answers with the seconds that each of its blocks took.
_PROGRAM = """
import os, sys, threading, time
block, repeats, others = {block!r}, {repeats}, {others}
for _ in range(others):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
exec("def work():\\n    " + block)
print("ready", flush=True)
for _ in sys.stdin:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    print(*times, flush=True)
"""


class CalibrationProcess:
    """A process that does the same work over and over, with and without a tracer.

    :param block: the work, one line of Python, which may use ``os`` and ``time``
    :param repeats: how often it is done in one measurement
    :param threads: threads that the process has beside, which wait
    """

    def __init__(self, block: str, *, repeats: int, threads: int = 0) -> None:
        program = _PROGRAM.format(block=block, repeats=repeats, others=threads)
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
        """Return the seconds that the work took, each time."""
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
