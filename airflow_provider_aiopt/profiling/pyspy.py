"""Stacks of all threads, sampled by py-spy from outside."""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
import tempfile
import threading
import time
from pathlib import Path

from airflow_provider_aiopt.exceptions import MissingExtraError, ProfilingError
from airflow_provider_aiopt.profiling.base import Findings, ProfileRequest, StageProfiler
from airflow_provider_aiopt.profiling.calibration import CalibrationProcess
from airflow_provider_aiopt.profiling.call_tree import tree_of_stacks
from airflow_provider_aiopt.profiling.flamegraph import flame_graph
from airflow_provider_aiopt.profiling.overhead import Cost, Overhead, counted
from airflow_provider_aiopt.profiling.tracer import Tracer

RATE = 100
"""Samples per second."""

_FAST = 500  # samples per second while their cost is measured, so that most gaps are theirs
_GAPS = """
last = clock()
end = last + 0.4
while last < end:
    now = clock()
    if now - last > 30e-6: seconds.append(now - last)
    last = now
"""
_ATTACHED = "Sampling process"
_SAMPLES = re.compile(r"Samples: (\d+)(?: Errors: (\d+))?")


class PySpySampler(StageProfiler):
    """Looks at the stacks of all threads, a hundred times a second; threads that wait are left out.

    The process stands still while they are read.

    :param request: what was asked for
    """

    kind = "pyspy"
    whole_process = True

    def __init__(self, request: ProfileRequest) -> None:
        super().__init__(request)
        self._folder = tempfile.TemporaryDirectory(prefix="aiopt-pyspy-")
        self._stacks = Path(self._folder.name) / "stacks.txt"
        self._tracer: Tracer | None = None
        self._program = ""
        self._cpu_s = self._besides_s = 0.0

    def start(self) -> None:
        """Attach.

        :raises MissingExtraError: if py-spy is not installed
        :raises ProfilingError: if it may not attach
        """
        self._program = _find_program()
        self._tracer = _attach(self._program, os.getpid(), self._stacks, RATE)

    def begin(self) -> None:
        """Note the time: py-spy is attached."""
        self._cpu_s, self._besides_s = time.process_time(), self._sampler_s()

    def end(self) -> None:
        """Note the time; py-spy detaches when the stage's clock has stopped."""
        self._cpu_s = time.process_time() - self._cpu_s
        self._besides_s = self._sampler_s() - self._besides_s

    def write(self, folder: Path) -> Findings:
        """Write the stacks, in the form that speedscope and flamegraph.pl read, and a flame graph.

        :raises ProfilingError: if there was no sample
        """
        if self._tracer is None:
            raise ProfilingError("py-spy is not attached")
        match = _SAMPLES.search(self._tracer.stop())
        samples, errors = (int(match[1]), int(match[2] or 0)) if match else (0, 0)
        lines = self._stacks.read_text(encoding="utf-8").splitlines() if self._stacks.exists() else []
        if not lines:
            raise ProfilingError(
                f"py-spy saw no thread at work in {samples} samples: the stage was too short"
            )
        tree = tree_of_stacks(lines)
        title = f"{samples} samples at {RATE}/s by py-spy: threads at work"
        graph = flame_graph(tree, title, lambda value: f"{value:g} samples")
        (folder / "flamegraph.svg").write_text(graph, encoding="utf-8")
        (folder / "stacks.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return Findings(self._overhead(samples), {"samples": samples, "errors": errors})

    def abandon(self) -> None:
        """Detach and remove the temporary files."""
        if self._tracer is not None:
            self._tracer.kill()
        self._folder.cleanup()

    def _overhead(self, samples: int) -> Overhead:
        method = (
            "samples times the pause for one here, and py-spy's own CPU time, over the CPU time; quartiles"
        )
        pause = _pause(self._program, threads=threading.active_count(), target=Path(self._folder.name) / "c")
        spent = self._cpu_s + self._besides_s + samples * pause.usual
        return counted(samples, pause, spent, method=method, besides_s=self._besides_s)

    def _sampler_s(self) -> float:
        return 0.0 if self._tracer is None else self._tracer.cpu_s()


def _find_program() -> str:
    beside = shutil.which("py-spy", path=sysconfig.get_path("scripts"))
    found = beside or shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if found is None:
        raise MissingExtraError("py-spy", "profiling", "Sampling stacks")
    return found


def _attach(program: str, pid: int, stacks: Path, rate: int) -> Tracer:
    command = [program, "record", "-p", str(pid), "-f", "raw", "-o", str(stacks), "-r", str(rate)]
    return Tracer(command, attached=_ATTACHED, pid=pid)


def _pause(program: str, *, threads: int, target: Path) -> Cost:
    """Measure for how many seconds a process of as many threads stands still for one sample.

    Where other processes take the processor away as well, these are the rarer gaps, and the middle half of
    all knows little of them.
    """
    with CalibrationProcess(_GAPS, threads=threads) as process:
        tracer = _attach(program, process.pid, target, _FAST)
        try:
            gaps = process.measure()
        finally:
            tracer.kill()
    return Cost.measured(gaps)
