"""Kill workers, tasks and servers of a Compose at random while it classifies, and count every record.

The services are those of ``docker-compose.yaml`` as processes, with two Celery workers.  Victims are a whole
worker, its tasks alone, PostgreSQL, Redis, statsd_exporter, the scheduler and the API server of the tasks.
Each is killed by SIGKILL and comes back after a while.  What is counted are results and quarantine, not logs.

The last line is ``lost=0 duplicated=0 faults=N records=N``, and the exit code is 0 where nothing was lost or
done twice.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

from rich.console import Console

from benchmarks.celery_stack import (
    ALL,
    DAGS,
    NOTICES_SOON,
    ApiError,
    LocalCompose,
    Outcome,
    outcome,
    pinned_workers,
    programs,
    records_of,
    tree_of,
    workspace_of,
)
from benchmarks.photographs import photographs

VICTIMS = ("worker", "task", "postgresql", "redis", "statsd-exporter", "scheduler", "execution-api")
SHARDS = 8
_BROKEN = "broken.jpg"
_MOST_CALM_S = 4.0
_MOST_DOWN_S = 3.0
_LOOK_S = 0.5
_WORKERS = 2


def main() -> int:
    """Run, and print the count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=2000, help="photographs of each run (default: 2000)")
    parser.add_argument("--faults", type=int, default=30, help="how many faults (default: 30)")
    parser.add_argument("--each", type=int, default=3, help="faults during one run (default: 3)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of victims and moments")
    parser.add_argument("--patience", type=float, default=300.0, help="seconds that one run may take")
    parser.add_argument("--keep", type=Path, help="folder for everything, which is kept")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    with ExitStack() as stack:
        folder = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        source = source_folder(folder / "source", photographs(arguments.records))
        compose = stack.enter_context(
            LocalCompose(
                folder.resolve() / "compose",
                programs(),
                dags_folder=DAGS,
                workers=pinned_workers(_WORKERS, sorted(os.sched_getaffinity(0))),
                env=NOTICES_SOON,
            )
        )
        run = FaultRun(compose, source, seed=arguments.seed, console=console)
        total, records = Outcome(0, 0), 0
        while run.faults.total() < arguments.faults:
            left = arguments.faults - run.faults.total()
            total += run.play(min(left, arguments.each), arguments.patience)
            records += len(run.names)
    for what, counts in (("killed", run.faults), ("ended unasked", compose.supervisor.restarts)):
        listed = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        console.print(f"{what}: {listed or 'nothing'}", highlight=False, soft_wrap=True)
    print(f"lost={total.lost} duplicated={total.duplicated} faults={run.faults.total()} records={records}")
    return int(bool(total.lost or total.duplicated))


def source_folder(folder: Path, pictures: Path) -> Path:
    """Make a folder of copies of the pictures, with one file among them that is none."""
    shutil.copytree(pictures, folder)
    (folder / _BROKEN).write_bytes(b"not a photograph")
    return folder


class FaultRun:
    """Who kills what, and counts.

    :param stack: the services, which run
    :param source: the photographs of each run
    :param seed: of all that is random
    :param console: is told what happens
    """

    def __init__(self, stack: LocalCompose, source: Path, *, seed: int, console: Console) -> None:
        self._random = random.Random(seed)  # noqa: S311 - it is to be repeatable
        self._stack = stack
        self._source = source
        self._console = console
        self.names = sorted(path.name for path in source.iterdir())
        self.faults: Counter[str] = Counter()
        stack.wait_for_dag(ALL)
        stack.unpause(ALL)

    def play(self, faults: int, patience: float) -> Outcome:
        """Start a run, let so many faults happen while it works, and count its records.

        :param faults: how many
        :param patience: seconds that the run may take
        :raises RunTimeoutError: if the run takes longer
        """
        run_id = self.begin()
        for _ in range(faults):
            self._stack.watch_for(self._random.uniform(0.5, _MOST_CALM_S))
            self.strike(self._random.choice(VICTIMS), self._random.uniform(0.0, _MOST_DOWN_S))
        return self.count(run_id, patience)

    def begin(self) -> str:
        """Start a run and return its id."""
        return self._stack.trigger(ALL, {"source": str(self._source), "shards": SHARDS})

    def strike(self, victim: str, down_s: float) -> None:
        """Kill one of :data:`VICTIMS` by SIGKILL, and start it again.

        :param victim: what to kill
        :param down_s: how long it stays away
        """
        self.faults[victim] += 1
        if victim in ("worker", "task"):
            worker = self._random.choice(self._stack.workers)
            what = f"{self._kill_tasks()} processes of a worker's tasks" if victim == "task" else worker
        else:
            what = victim
        self._say(f"fault {self.faults.total()}: {what}")
        if victim != "task":
            self._stack.restart(what, down_s=down_s)

    def count(self, run_id: str, patience: float) -> Outcome:
        """Wait for the end of a run, and count its records.

        :param run_id: the run
        :param patience: seconds that it may take
        :raises RunTimeoutError: if the run takes longer
        """
        state = self._wait_for_end(run_id, time.monotonic() + patience)
        found = outcome(self.names, records_of(workspace_of(self._stack, ALL, run_id)))
        tries = sum(task["try_number"] for task in self._stack.task_instances(ALL, run_id))
        self._say(f"{run_id}: {state} after {tries} attempts of {SHARDS + 1} tasks, {found}")
        return found

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def _wait_for_end(self, run_id: str, deadline: float) -> str:
        while True:
            try:
                return self._stack.wait_for_run(ALL, run_id, timeout=max(0.0, deadline - time.monotonic()))
            except ApiError:
                # The API server has lost its database for a moment.
                if time.monotonic() > deadline:
                    raise
                self._stack.watch_for(_LOOK_S)

    def _kill_tasks(self) -> int:
        """Kill what the worker with most processes has started, and leave it alone; return how many."""
        running = self._stack.pids()
        pids = max((tree_of(running[worker])[1:] for worker in self._stack.workers), key=len)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(pids)


if __name__ == "__main__":
    sys.exit(main())
