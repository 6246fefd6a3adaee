"""Kill parts of an Airflow at random while files are uploaded, and count what became of every upload.

Half of the uploads take the asset's route, half that of two ``aiopt watch`` side by side.  The count is made
of claims and results, not of logs.  The last line is ``lost=0 duplicated=0 kills=N uploads=N``, and the exit
code is 0 where nothing was lost or done twice.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Literal

from rich.console import Console

from benchmarks.upload_results import DAGS, REPOSITORY, Recorded, environment, start_watch

sys.path.insert(0, str(REPOSITORY / "scripts"))
from local_airflow import LocalAirflow
from local_airflow.nursery import children_of, tree_of

_ROUTES = ("by_asset", "by_watch")
_SERVICES = 2
_MOST_CALM_S = 3.0
_LOOK_S = 1.0
_STALLED_S = 60.0


def main() -> int:
    """Run, and print the count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uploads", type=int, default=2000, help="how many files (default: 2000)")
    parser.add_argument("--kills", type=int, default=50, help="how many SIGKILLs (default: 50)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of victims and moments")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds to wait for the last result")
    parser.add_argument(
        "--database", choices=("postgresql", "sqlite"), default="postgresql", help="default: postgresql"
    )
    parser.add_argument("--keep", type=Path, help="folder for everything, which is kept")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        run = FaultRun(folder.resolve(), seed=arguments.seed, database=arguments.database)
        stack.callback(run.stop)
        run.start()
        kills = run.play(arguments.uploads, arguments.kills)
        kills["scheduler"] += run.settle(arguments.patience)
        lost, duplicated = run.count()
    Console(stderr=True).print(", ".join(f"{name} {count}" for name, count in sorted(kills.items())))
    print(f"lost={lost} duplicated={duplicated} kills={kills.total()} uploads={arguments.uploads}")
    return int(bool(lost or duplicated))


class FaultRun:
    """An Airflow, two services, and who kills them.

    :param folder: for all files
    :param seed: of all that is random
    :param database: Airflow's
    """

    def __init__(self, folder: Path, *, seed: int, database: Literal["postgresql", "sqlite"]) -> None:
        self._random = random.Random(seed)  # noqa: S311 - it is to be repeatable
        self._root = folder / "uploads"
        self._routes = [Recorded(self._root, dag_id) for dag_id in _ROUTES]
        self._put = dict.fromkeys(_ROUTES, 0)
        env = environment(self._root) | {"RECORD_UPLOADS_RETRIES": "50"}
        self._airflow = LocalAirflow(folder / "airflow", DAGS, env=env, database=database)
        self._services: list[subprocess.Popen[bytes]] = []
        self._log: IO[bytes] | None = None
        self._log_path = folder / "watch.log"
        self._console = Console(stderr=True)

    def start(self) -> None:
        """Start all, and wait until both inboxes are watched."""
        self._airflow.start()
        for dag_id in _ROUTES:
            self._airflow.wait_for_dag(dag_id)
            self._airflow.unpause(dag_id)
        self._log = self._log_path.open("ab")
        self._services = [self._service() for _ in range(_SERVICES)]
        deadline = time.monotonic() + _STALLED_S
        while len(list(self._root.glob("state/*/baseline.bin"))) < len(_ROUTES):
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"The inboxes are not watched after {_STALLED_S:.0f} s; see {self._log_path}"
                )
            self._airflow.watch(_LOOK_S)

    def stop(self) -> None:
        """End all."""
        for service in self._services:
            service.terminate()
        for service in self._services:
            with suppress(subprocess.TimeoutExpired):
                service.wait(30)
            service.kill()
            service.wait()
        self._airflow.stop()
        if self._log is not None:
            self._log.close()

    def play(self, uploads: int, kills: int) -> Counter[str]:
        """Upload in bursts, with a kill after each.

        :returns: how often what was killed
        """
        killed: Counter[str] = Counter()
        bursts = _burst_ends(uploads, kills + 1, self._random)
        start = 0
        for end in bursts:
            for number in range(start, end):
                route = self._routes[number % len(self._routes)]
                route.put(f"{number:06d}.jpg")
                self._put[route.dag_id] += 1
            start = end
            self._airflow.watch(self._random.uniform(0.0, _MOST_CALM_S))
            if killed.total() < kills:
                killed[self._kill()] += 1
                self._console.print(f"{end} uploads, {killed.total()} kills, {self._done()} results")
        return killed

    def settle(self, patience: float) -> int:
        """Wait until every upload has a result and no run is active, or *patience* is over.

        LocalExecutor forgets a task whose worker was killed before it said that the task has started; only
        another scheduler takes it up.  Where nothing goes on, the scheduler is therefore killed once more.

        :returns: how often it was
        """
        end = time.monotonic() + patience
        kills, done, calm_until = 0, -1, 0.0
        while (self.count()[0] or self._active()) and time.monotonic() < end:
            if self._done() != done:
                done, calm_until = self._done(), time.monotonic() + _STALLED_S
            elif time.monotonic() > calm_until:
                self._airflow.restart("scheduler")
                kills, calm_until = kills + 1, time.monotonic() + _STALLED_S
            self._airflow.watch(_LOOK_S)
        return kills

    def count(self) -> tuple[int, int]:
        """Return how many uploads have no result, and how many one too many."""
        outcomes = [route.outcome(self._put[route.dag_id]) for route in self._routes]
        return sum(outcome.lost for outcome in outcomes), sum(outcome.duplicated for outcome in outcomes)

    def _kill(self) -> str:
        """Kill something by SIGKILL, and start it again where nobody else does."""
        victim = self._random.choice(("triggerer", "scheduler", "worker", "service"))
        if victim == "worker":
            workers = [pid for pid in children_of(self._airflow.pids()["scheduler"]) if children_of(pid)]
            if workers:
                # Only a worker at work: an idle one may hold the lock of LocalExecutor's queue, which no
                # other would get then.
                for pid in tree_of(self._random.choice(workers)):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                return victim
            victim = "scheduler"
        if victim == "service":
            place = self._random.randrange(_SERVICES)
            self._services[place].kill()
            self._services[place].wait()
            self._services[place] = self._service()
            return victim
        self._airflow.kill(victim)
        self._airflow.watch(self._random.uniform(0.0, 1.0))
        self._airflow.restart(victim)
        return victim

    def _service(self) -> subprocess.Popen[bytes]:
        assert self._log is not None  # noqa: S101 - start() opened it
        airflow, route = self._airflow, self._routes[1]
        return start_watch(
            route.inbox,
            route.dag_id,
            state=self._root / "state",
            url=airflow.url,
            credentials=(airflow.username, airflow.password),
            log=self._log,
        )

    def _done(self) -> int:
        return sum(len(route.names()) for route in self._routes)

    def _active(self) -> bool:
        return any(self._airflow.dag_runs(dag_id, ("queued", "running")) for dag_id in _ROUTES)


def _burst_ends(uploads: int, bursts: int, chance: random.Random) -> Sequence[int]:
    """Return where each of so many bursts of random size ends; the last ends with the uploads."""
    return [*sorted(chance.randint(0, uploads) for _ in range(bursts - 1)), uploads]


if __name__ == "__main__":
    sys.exit(main())
