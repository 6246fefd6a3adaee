"""What a stage used of the machine, from the operating system's own accounts."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from airflow_provider_aiopt.data.parallel import usable_cores

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # see proc(5): resets the peak resident set size


class ResourceUse:
    """CPU time and peak memory between its making and :meth:`stop`.

    CPU time is that of the process with all its threads and of the children it has waited for.  Peak memory
    is the process's resident set; where the kernel does not let it be reset, the peak since the process
    began.
    """

    def __init__(self) -> None:
        _reset_peak_memory()
        self._before = _cpu_seconds()
        self.cpu_s = 0.0
        self.peak_memory_bytes = 0

    def stop(self) -> None:
        """Take the readings."""
        self.cpu_s = max(0.0, _cpu_seconds() - self._before)
        self.peak_memory_bytes = _peak_memory()

    def utilisation(self, wall_s: float) -> float:
        """Return CPU time over the time of all usable cores, 0 to 1."""
        return self.cpu_s / (wall_s * usable_cores()) if wall_s > 0 else 0.0


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _reset_peak_memory() -> None:
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:  # another system, or a container that forbids it: the peak is then the process's own
        return


def _peak_memory() -> int:
    try:
        lines = _STATUS.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
