"""Upload thousands of files at once to a running Airflow, and follow each of them to its result.

Usage: ``python -m benchmarks.burst_events``; ``--existing 1000000`` puts a million files there before that.
It tells how soon the folder is watched, when the first and the last result are there, how much memory the
triggerer's processes take and whether Airflow found their event loop blocked; and counts, of claims and
results, what was lost or done twice.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.checks import Check, conclude, table
from benchmarks.command import begin
from benchmarks.machine import surroundings
from benchmarks.paths import RESULTS, TRIES
from benchmarks.upload_results import DAGS, REPOSITORY, Recorded, environment

sys.path.insert(0, str(REPOSITORY / "scripts"))
from local_airflow import LocalAirflow
from local_airflow.nursery import tree_of

DAG_ID = "by_asset"
_BURST = 10_000
_PER_FOLDER = 1000
_LOOK_S = 0.1
_MEMORY_EVERY_S = 0.5
_READY_S = 120.0
_BLOCKED = re.compile(r"async thread was blocked", re.IGNORECASE)
_READY_TARGET_EXISTING = 100_000
_MIB = 2**20


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--burst", type=int, default=_BURST, help="files that come at once")
    parser.add_argument("--existing", type=int, default=0, help="files that are there before the start")
    parser.add_argument("--patience", type=float, default=900.0, help="seconds to wait for the last result")
    parser.add_argument("--cores", type=int, default=2, help="cores to use")
    options = parser.parse_args()
    warning = begin(options.cores)
    values: dict[str, Any] = {**surroundings(), "warning": warning}
    with tempfile.TemporaryDirectory() as folder:
        figures = BurstRun(Path(folder).resolve()).measure(options.existing, options.burst, options.patience)
    rows = [(name, f"{value:,.2f}".removesuffix(".00")) for name, value in figures.items()]
    whole = options.burst >= _BURST
    name = f"burst_{options.existing}" if options.existing else "burst"
    conclude(
        name,
        values | figures,
        [table("A burst", ("", ""), rows)],
        checks(figures),
        RESULTS if whole else TRIES,
    )


def checks(figures: Mapping[str, float]) -> list[Check]:
    """Return the figures that have a target, beside it."""
    targets = {
        "first_result_s": 5.0,
        "lost": 0,
        "duplicated": 0,
        "runs_of_existing": 0,
        "triggerer_pss_mib": 300.0,
        "blocked_warnings": 0,
    }
    if figures["existing"] <= _READY_TARGET_EXISTING:
        targets["ready_s"] = 10.0
    return [Check(name, figures[name], target, at_most=True) for name, target in targets.items()]


class BurstRun:
    """An Airflow with one watched folder.

    :param folder: for all files
    """

    def __init__(self, folder: Path) -> None:
        self._root = folder / "uploads"
        self._route = Recorded(self._root, DAG_ID)
        self._airflow = LocalAirflow(
            folder / "airflow", DAGS, env=environment(self._root), database="postgresql"
        )
        self._peak = Memory(0, 0)
        self._next_look = 0.0
        self._console = Console(stderr=True)

    def measure(self, existing: int, burst: int, patience: float) -> dict[str, float]:
        """Return the figures: seconds, MiB and counts.

        :param existing: files that are there before
        :param burst: files that come at once
        :param patience: seconds to wait for the last result
        """
        populate(self._route.inbox, existing)
        with ExitStack() as stack:
            stack.callback(self._airflow.stop)
            self._airflow.start()
            ready = self._ready()
            idle = self._memory()
            self._peak = idle
            first, last = self._burst(burst, patience)
            outcome = self._route.outcome(burst)
            runs = self._airflow.dag_runs(DAG_ID)
        return {
            "existing": existing,
            "burst": burst,
            "ready_s": ready,
            "first_result_s": first,
            "last_result_s": last,
            "runs": len(runs),
            "runs_of_existing": sum("burst-" not in name for name in self._route.names()),
            "lost": outcome.lost,
            "duplicated": outcome.duplicated,
            "triggerer_pss_idle_mib": idle.pss / _MIB,
            "triggerer_pss_mib": self._peak.pss / _MIB,
            "triggerer_largest_rss_mib": self._peak.largest_rss / _MIB,
            "blocked_warnings": self._warnings(),
        }

    def _ready(self) -> float:
        """Return the seconds from a healthy Airflow to a watched folder."""
        began = time.time()
        self._airflow.wait_for_dag(DAG_ID)
        self._airflow.unpause(DAG_ID)
        deadline = time.monotonic() + _READY_S
        while not (baselines := list(self._root.glob("state/*/baseline.bin"))):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"The folder is not watched after {_READY_S:.0f} s; see {self._airflow.logs}"
                )
            self._airflow.watch(_LOOK_S)
        return max(baselines[0].stat().st_mtime - began, 0.0)

    def _burst(self, count: int, patience: float) -> tuple[float, float]:
        """Upload, and return the seconds from its beginning to the first and to the last result."""
        began = time.monotonic()
        first = last = 0.0
        for number in range(count):
            self._route.put(f"burst-{number:06d}.jpg")
            if number % _PER_FOLDER == 0 and not first and self._route.names():
                first = time.monotonic() - began
        self._console.print(f"{count} files written in {time.monotonic() - began:.1f} s", highlight=False)
        done = told = 0
        while done < count and time.monotonic() - began < patience:
            self._look()
            done = len(self._route.names())
            last = time.monotonic() - began
            first = first or (last if done else 0.0)
            if done - told >= count // 10:
                told = done
                self._console.print(f"{done} results after {last:.1f} s", highlight=False)
            self._airflow.watch(_LOOK_S)
        return first, last

    def _look(self) -> None:
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _MEMORY_EVERY_S
            now = self._memory()
            self._peak = Memory(max(self._peak.pss, now.pss), max(self._peak.largest_rss, now.largest_rss))

    def _memory(self) -> Memory:
        pids = tree_of(self._airflow.pids()["triggerer"])
        return Memory(sum(_bytes(pid, "Pss") for pid in pids), max(_bytes(pid, "Rss") for pid in pids))

    def _warnings(self) -> int:
        log = (self._airflow.logs / "triggerer.log").read_text(encoding="utf-8", errors="replace")
        return len(_BLOCKED.findall(log))


@dataclass(frozen=True)
class Memory:
    """What the triggerer's processes have.

    :param pss: of all, each shared page counted once, in bytes
    :param largest_rss: of the largest, in bytes
    """

    pss: int
    largest_rss: int


def populate(inbox: Path, count: int) -> None:
    """Make *count* empty files, a thousand to a folder."""
    for start in range(0, count, _PER_FOLDER):
        folder = inbox / f"existing-{start // _PER_FOLDER:05d}"
        folder.mkdir()
        for number in range(start, min(start + _PER_FOLDER, count)):
            (folder / f"{number:07d}.jpg").touch()


def _bytes(pid: int, kind: str) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith(f"{kind}:"))


if __name__ == "__main__":
    main()
