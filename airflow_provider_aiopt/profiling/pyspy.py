"""Stacks of all threads, sampled by py-spy from outside."""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from pydantic import JsonValue

from airflow_provider_aiopt.exceptions import MissingExtraError, ProfilingError
from airflow_provider_aiopt.profiling.base import ProfileRequest, StageProfiler
from airflow_provider_aiopt.profiling.call_tree import tree_of_stacks
from airflow_provider_aiopt.profiling.flamegraph import flame_graph
from airflow_provider_aiopt.profiling.overhead import Cost, Overhead, counted
from airflow_provider_aiopt.profiling.tracer import Tracer

RATE = 100
"""Samples per second."""

_ATTACHED = "Sampling process"
_COUNTS = re.compile(r"Samples: (\d+)(?: Errors: (\d+))?")


class PySpySampler(StageProfiler):
    """Looks at the stacks of all threads, a hundred times a second; threads that wait are left out.

    The process goes on meanwhile, so that a stack that changes as it is read is an error or, rarely, wrong.

    :param request: what was asked for
    """

    kind = "pyspy"
    whole_process = True

    def __init__(self, request: ProfileRequest) -> None:
        super().__init__(request)
        self._folder = Path(tempfile.mkdtemp(prefix="aiopt-pyspy-"))
        self._stacks = self._folder / "stacks.txt"
        self._tracer: Tracer | None = None
        self._cpu_s = self._sampler_cpu_s = 0.0

    def start(self) -> None:
        """Attach.

        :raises MissingExtraError: if py-spy is not installed
        :raises ProfilingError: if it may not attach
        """
        pid = os.getpid()
        command = [_find_program(), "record", "-p", str(pid), "-r", str(RATE), "-f", "raw"]
        # Were the process stopped for each sample, its threads would wake up from that, and those that wait
        # look as if they worked.
        command += ["--nonblocking", "-o", str(self._stacks)]
        self._tracer = Tracer(command, attached=_ATTACHED, pid=pid)

    def begin(self) -> None:
        """Note the time: py-spy is attached."""
        self._cpu_s, self._sampler_cpu_s = time.process_time(), self._sampler_s()

    def end(self) -> None:
        """Note the time; py-spy detaches when the stage's clock has stopped."""
        self._cpu_s = time.process_time() - self._cpu_s
        self._sampler_cpu_s = self._sampler_s() - self._sampler_cpu_s

    def write(self, folder: Path) -> dict[str, JsonValue]:
        """Write the stacks, in the form that speedscope and flamegraph.pl read, and a flame graph.

        :raises ProfilingError: if there was no sample
        """
        if self._tracer is None:
            raise ProfilingError("py-spy is not attached")
        match = _COUNTS.search(self._tracer.stop())
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
        return {"samples": samples, "errors": errors}

    def overhead(self) -> Overhead:
        """Return py-spy's CPU time, which the process is short of where all cores are busy."""
        taken = self._sampler_cpu_s
        method = "py-spy's own CPU time over that of the process; nothing of it where a core is free"
        return counted(1, Cost(0, taken, taken), self._cpu_s + taken, method=method)

    def abandon(self) -> None:
        """Detach and remove the temporary files."""
        if self._tracer is not None:
            self._tracer.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _sampler_s(self) -> float:
        return 0.0 if self._tracer is None else self._tracer.cpu_s()


def _find_program() -> str:
    beside = shutil.which("py-spy", path=sysconfig.get_path("scripts"))
    found = beside or shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if found is None:
        raise MissingExtraError("py-spy", "profiling", "Sampling stacks")
    return found
