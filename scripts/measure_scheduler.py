"""What the scheduler costs while nothing happens: CPU time by idle sleep, memory by parallelism.

Starts an Airflow of its own for each setting, on SQLite with the LocalExecutor, and reads ``/proc``: the
figures in ``docs/concurrency.md``.  Takes about four minutes; Linux only.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from local_airflow import LocalAirflow

REPOSITORY = Path(__file__).resolve().parent.parent
SECONDS = 20.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_USER_TIME, _SYSTEM_TIME = 11, 12  # fields of /proc/PID/stat after the command's name


def main() -> int:
    """Measure and print one line for each setting."""
    with tempfile.TemporaryDirectory() as folder:
        for idle_sleep in (1, 0.1, 0.05):
            _measure(Path(folder), {"SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": idle_sleep})
        for parallelism in (8, 32, 64):
            _measure(Path(folder), {"CORE__PARALLELISM": parallelism})
    return 0


def _measure(home: Path, options: dict[str, float]) -> None:
    environment = {f"AIRFLOW__{name}": str(value) for name, value in options.items()}
    with LocalAirflow(home, REPOSITORY / "dags", env=environment, start_timeout=300) as airflow:
        scheduler = airflow.pids()["scheduler"]
        airflow.watch(SECONDS)  # the start's own work is over
        before, began = _cpu_s(scheduler), time.monotonic()
        airflow.watch(SECONDS)
        share = (_cpu_s(scheduler) - before) / (time.monotonic() - began)
        processes = _descendants(scheduler)
        memory = sum(map(_private_mib, processes))
    workers = f"{len(processes)} processes below it have {memory:.0f} MiB of their own"
    print(f"{options}: the idle scheduler takes {share:.1%} of a core; {workers}", flush=True)


def _cpu_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / _TICKS_PER_S


def _descendants(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [found for child in map(int, children) for found in (child, *_descendants(child))]


def _private_mib(process: int) -> float:
    """Return the memory that the process shares with no other."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


if __name__ == "__main__":
    sys.exit(main())
