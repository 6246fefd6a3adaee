"""What a stage used of the machine, from the operating system's own accounts."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path

from airflow_provider_aiopt.data.parallel import usable_cores

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_PRESSURE = Path("/proc/pressure/cpu")
_RESET_PEAK = "5"  # see proc(5): resets the peak resident set size


class ResourceUse:
    """CPU time, context switches and peak memory between its making and :meth:`stop`.

    CPU time is that of the process with all its threads and of the children it has waited for.  Peak memory
    is the process's resident set; where the kernel does not let it be reset, the peak since the process
    began.  How long threads waited for a core is the host's pressure stall information: the scheduler's own
    account, ``/proc/PID/task/TID/schedstat``, is lost with each thread that ends, and a stage's threads have
    ended when it does.
    """

    def __init__(self) -> None:
        _reset_peak_memory()
        self._before = _Usage()
        self.cpu_s = 0.0
        self.user_s = 0.0
        self.system_s = 0.0
        self.voluntary_switches = 0
        self.involuntary_switches = 0
        self.cpu_pressure: float | None = None
        self.peak_memory_bytes = 0

    def stop(self) -> None:
        """Take the readings."""
        before, after = self._before, _Usage()
        self.user_s = max(0.0, after.user_s - before.user_s)
        self.system_s = max(0.0, after.system_s - before.system_s)
        self.cpu_s = self.user_s + self.system_s
        self.voluntary_switches = after.voluntary - before.voluntary
        self.involuntary_switches = after.involuntary - before.involuntary
        passed = after.moment - before.moment
        if before.stalled_s is not None and after.stalled_s is not None and passed > 0:
            self.cpu_pressure = round(min(1.0, (after.stalled_s - before.stalled_s) / passed), 4)
        self.peak_memory_bytes = _peak_memory()

    def utilisation(self, wall_s: float) -> float:
        """Return CPU time over the time of all usable cores, 0 to 1."""
        return self.cpu_s / (wall_s * usable_cores()) if wall_s > 0 else 0.0


class _Usage:
    """The operating system's counters at one moment."""

    def __init__(self) -> None:
        times, own = os.times(), resource.getrusage(resource.RUSAGE_SELF)
        self.moment = time.perf_counter()
        self.user_s = times.user + times.children_user
        self.system_s = times.system + times.children_system
        self.voluntary, self.involuntary = own.ru_nvcsw, own.ru_nivcsw
        self.stalled_s = _stalled_seconds()


def _stalled_seconds() -> float | None:
    """Return for how long some runnable thread of the host has waited for a core, see proc_pressure(5)."""
    try:
        some = _PRESSURE.read_text().partition("\n")[0]
        return int(some.rpartition("total=")[2]) / 1_000_000
    except (OSError, ValueError):  # another system, or a kernel without pressure information
        return None


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
