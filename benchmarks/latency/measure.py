"""One Airflow in one configuration, and uploads to all systems in turn."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from local_airflow import Database, LocalAirflow

from benchmarks.latency.configurations import CONFIGURATIONS, WORKERS
from benchmarks.latency.figures import Sample
from benchmarks.latency_systems.base import Begun, Site, System

LONGEST_GAP_S = 2.0
"""Uploads come after random gaps up to this, so that they meet Airflow's one-second cycles in every phase."""

_SLOW_S = 10.0
_LOOK_S = 0.005
_READY_S = 60.0
_RUN_S = 120.0
_WARM_UP = "warm_up"
_WARM_UP_DAG = f"""
import time
from pathlib import Path
from airflow.sdk import DAG, task

with DAG({_WARM_UP!r}, schedule=None, max_active_tasks=64):
    @task
    def occupy(number, run_id=None):
        # Until all have begun none ends, so that each has a worker of its own.
        folder = Path({{folder!r}}) / run_id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / str(number)).touch()
        deadline = time.monotonic() + 60
        while len(list(folder.iterdir())) < {WORKERS} and time.monotonic() < deadline:
            time.sleep(0.1)

    occupy.expand(number=list(range({WORKERS})))
"""


@dataclass(frozen=True)
class Pending:
    """An upload that nobody has taken up yet.

    :param at: when it appeared, in seconds since the epoch
    :param deadline: when the system counts as broken, by the monotonic clock
    """

    at: float
    deadline: float


class Bench:
    """Uploads to every system of one running Airflow.

    A system that looks only once a minute gets its uploads beside the others, which get theirs one at a time.

    :param airflow: the Airflow, with the DAGs of all systems
    :param configuration: the name of its configuration
    :param sites: the systems with their folders
    :param rng: where the gaps and the order come from
    """

    def __init__(
        self, airflow: LocalAirflow, configuration: str, sites: Mapping[System, Site], rng: random.Random
    ) -> None:
        self._airflow = airflow
        self._configuration = configuration
        self._sites = dict(sites)
        self._rng = rng
        self._pending: dict[System, Pending] = {}
        self._number = 0

    def round(self) -> Iterator[Sample]:
        """Upload once to every system, in random order, and yield what comes of it."""
        order = list(self._sites)
        self._rng.shuffle(order)
        for system in order:
            if _is_slow(system):
                if system not in self._pending:
                    self._upload(system)
            else:
                self._airflow.watch(self._rng.uniform(0.0, LONGEST_GAP_S))
                self._upload(system)
                yield self._wait_for(system)
            yield from self._arrived()

    def rest(self) -> Iterator[Sample]:
        """Wait for the uploads to the slow systems, and yield what comes of them."""
        for system in list(self._pending):
            yield self._wait_for(system)

    def _upload(self, system: System) -> None:
        self._number += 1
        at = system.upload(self._airflow, self._sites[system], self._number)
        self._pending[system] = Pending(at, time.monotonic() + system.patience_s)

    def _wait_for(self, system: System) -> Sample:
        while (begun := system.begun(self._sites[system])) is None:
            if time.monotonic() > self._pending[system].deadline:
                raise TimeoutError(
                    f"{system.name}: no run took up the upload within {system.patience_s:.0f} s. "
                    f"Airflow's logs are in {self._airflow.logs}"
                )
            time.sleep(_LOOK_S)
        return self._sample(system, begun)

    def _arrived(self) -> Iterator[Sample]:
        for system in list(self._pending):
            begun = system.begun(self._sites[system])
            if begun is not None:
                yield self._sample(system, begun)

    def _sample(self, system: System, begun: Begun) -> Sample:
        uploaded_at = self._pending.pop(system).at
        results_at = self._results_at(system, begun.run_id)
        state = self._airflow.wait_for_run(system.name, begun.run_id, timeout=_RUN_S)
        if state != "success":
            raise RuntimeError(f"{system.name}: run {begun.run_id} ended as {state}")
        return Sample(
            system=system.name,
            configuration=self._configuration,
            run_id=begun.run_id,
            uploaded_at=uploaded_at,
            event_at=self._event_at(system, begun.run_id),
            run_created_at=_epoch(self._airflow.dag_run(system.name, begun.run_id)["queued_at"]),
            first_task_at=begun.at,
            results_at=results_at,
        )

    def _results_at(self, system: System, run_id: str) -> float | None:
        path = system.results(self._sites[system], run_id)
        if path is None:
            return None
        deadline = time.monotonic() + _RUN_S
        while not path.exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{system.name}: no results in {path} within {_RUN_S:.0f} s")
            time.sleep(_LOOK_S)
        return time.time()

    def _event_at(self, system: System, run_id: str) -> float | None:
        for task in self._airflow.task_instances(system.name, run_id):
            if task["operator"].endswith("Sensor"):
                return _epoch(task["end_date"])
        path = f"/api/v2/dags/{system.name}/dagRuns/{run_id}/upstreamAssetEvents"
        events: list[dict[str, Any]] = self._airflow.request("GET", path)["asset_events"]
        return _epoch(events[-1]["timestamp"]) if events else None


@contextmanager
def bench(
    folder: Path, configuration: str, systems: Sequence[System], database: Database, rng: random.Random
) -> Iterator[Bench]:
    """Run an Airflow in *configuration*, with the DAGs of *systems*, warm.

    :param folder: where it keeps everything; its second start is quicker
    """
    sites = {system: Site.below(folder / "sites" / system.name) for system in systems}
    dags = folder / "dags"
    dags.mkdir(parents=True, exist_ok=True)
    (dags / f"{_WARM_UP}.py").write_text(_WARM_UP_DAG.replace("{folder!r}", repr(str(folder / _WARM_UP))))
    env = CONFIGURATIONS[configuration]
    with ExitStack() as stack:
        airflow = stack.enter_context(LocalAirflow(folder / "home", dags, database=database, env=env))
        airflow.wait_for_dag(_WARM_UP)
        airflow.wait_for_run(_WARM_UP, airflow.trigger(_WARM_UP), timeout=_RUN_S)
        # Only then, for sensors hold workers; and so in the next block, too.
        for system, site in sites.items():
            path = dags / f"{system.name}.py"
            path.write_text(system.dag(site), encoding="utf-8")
            stack.callback(path.unlink)
        for system, site in sites.items():
            airflow.wait_for_dag(system.name, timeout=_READY_S)
            stack.callback(system.stop)
            system.start(airflow, site)
        yield Bench(airflow, configuration, sites, rng)


def _is_slow(system: System) -> bool:
    return system.waits_s > _SLOW_S


def _epoch(timestamp: str | None) -> float | None:
    return None if timestamp is None else datetime.fromisoformat(timestamp).timestamp()
