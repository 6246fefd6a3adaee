"""System calls of the worker, counted by strace."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import JsonValue

from airflow_provider_aiopt.exceptions import ProfilingError
from airflow_provider_aiopt.profiling.base import ProfileRequest, StageProfiler
from airflow_provider_aiopt.profiling.calibration import CalibrationProcess
from airflow_provider_aiopt.profiling.overhead import Cost, Overhead, counted
from airflow_provider_aiopt.profiling.tables import text_table
from airflow_provider_aiopt.profiling.tracer import Tracer

_CALLS = 100
_WORK = f"""
for _ in range(25):
    began = clock()
    for _ in range({_CALLS}): os.getppid()
    seconds.append((clock() - began) / {_CALLS})
"""


class SystemCallCounter(StageProfiler):
    """Counts the system calls of the process, of its threads and of the children that it begins meanwhile.

    Each call stops its thread twice until strace has seen it, so that a stage of many small calls takes
    several times as long.

    :param request: what was asked for
    """

    kind = "syscalls"
    whole_process = True

    def __init__(self, request: ProfileRequest) -> None:
        super().__init__(request)
        self._folder = Path(tempfile.mkdtemp(prefix="aiopt-strace-"))
        self._summary = self._folder / "summary.txt"
        self._tracer: Tracer | None = None
        self._cost = Cost(0, 0, 0)
        self._cpu_s = 0.0
        self._calls = 0

    def start(self) -> None:
        """Measure what a call costs, and attach.

        :raises ProfilingError: if strace is not installed, or may not attach
        """
        strace = shutil.which("strace")
        if strace is None:
            raise ProfilingError(
                "profile is 'syscalls', which needs the program strace, and there is none on the PATH of the "
                "worker. Install it, on Debian and Ubuntu with: apt-get install strace"
            )
        # Before this process is traced: then its children are, too, and nothing has two tracers.
        self._cost = _call_cost(strace, self._folder / "calibration.txt")
        self._tracer = _attach(strace, os.getpid(), self._summary)

    def begin(self) -> None:
        """Note the time: strace is attached."""
        self._cpu_s = time.process_time()

    def end(self) -> None:
        """Note the time; strace detaches when the stage's clock has stopped."""
        self._cpu_s = time.process_time() - self._cpu_s

    def write(self, folder: Path) -> dict[str, JsonValue]:
        """Write the calls as a table and as JSON."""
        if self._tracer is None:
            raise ProfilingError("strace is not attached")
        self._tracer.stop()
        calls = list(parse_summary(self._summary.read_text(encoding="utf-8")))
        rows = [asdict(call) for call in calls]
        (folder / "syscalls.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
        (folder / "syscalls.txt").write_text(_table(calls), encoding="utf-8")
        self._calls = sum(call.calls for call in calls)
        return {"calls": self._calls, "errors": sum(call.errors for call in calls)}

    def overhead(self) -> Overhead:
        """Return the number of calls times what strace stops one for."""
        method = "calls times what strace stops one for, over the CPU time; quartiles of stops"
        return counted(self._calls, self._cost, self._cpu_s + self._calls * self._cost.usual, method=method)

    def abandon(self) -> None:
        """Detach and remove the temporary files."""
        if self._tracer is not None:
            self._tracer.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class SystemCall:
    """One system call's line of the summary.

    :param name: the call
    :param calls: how often it was made
    :param errors: how often it failed
    :param seconds: time in the kernel
    :param share: of the time of all calls, 0 to 1
    """

    name: str
    calls: int
    errors: int
    seconds: float
    share: float


_LINE = re.compile(
    r"\s*(?P<share>[\d.]+)\s+(?P<seconds>[\d.]+)\s+(?P<each>\d+)\s+(?P<calls>\d+)\s+(?:(?P<errors>\d+)\s+)?"
    r"(?P<name>[a-z_]\w*)\s*"
)


def parse_summary(text: str) -> Iterator[SystemCall]:
    """Read what ``strace -c`` writes, without its last line, the total.

    :param text: the summary
    """
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is not None and match["name"] != "total":
            yield SystemCall(
                match["name"],
                int(match["calls"]),
                int(match["errors"] or 0),
                float(match["seconds"]),
                float(match["share"]) / 100,
            )


def _attach(strace: str, pid: int, summary: Path) -> Tracer:
    # The time that a call spends in the kernel; waits, which -w counts, would drown everything else.
    command = [strace, "-c", "-f", "-p", str(pid), "-o", str(summary)]
    return Tracer(command, attached=f"Process {pid} attached", pid=pid)


def _call_cost(strace: str, summary: Path) -> Cost:
    """Measure for how many seconds strace stops a thread for one call."""
    with CalibrationProcess(_WORK) as process:
        plain = statistics.median(process.measure())
        tracer = _attach(strace, process.pid, summary)
        try:
            traced = process.measure()
        finally:
            tracer.kill()
    return Cost.measured([max(0.0, seconds - plain) for seconds in traced])


def _table(calls: list[SystemCall]) -> str:
    return text_table(
        ("call", "calls", "errors", "seconds", "share %"),
        [
            (call.name, str(call.calls), str(call.errors), f"{call.seconds:.6f}", f"{call.share * 100:.2f}")
            for call in calls
        ],
    )
