"""Runs of the demonstration's DAGs on a real Airflow, in one configuration after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from local_airflow import ApiError, LocalAirflow

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.telemetry.airflow_api import AirflowApi
from airflow_provider_aiopt.telemetry.reports import RunReport
from airflow_provider_aiopt.telemetry.run_report import load_run_report
from benchmarks.paths import ROOT
from benchmarks.simulation.configurations import FREE_SLOTS, Airflow, Case

_DAGS = {"staged": "image_classification", "streaming": "image_classification_streaming"}
_MODEL_POOL = "inference"
_CPU_POOL = "records"

_RUN_S = 300.0
_WARM_UP = "warm_up"
_WARM_UP_DAG = """
import time
from pathlib import Path
from airflow.sdk import DAG, task

with DAG({dag_id!r}, schedule=None, max_active_tasks=64):
    @task
    def occupy(number, run_id=None):
        # Until all have begun none ends, so that each has a worker of its own.
        folder = Path({folder!r}) / run_id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / str(number)).touch()
        deadline = time.monotonic() + 60
        while len(list(folder.iterdir())) < {workers} and time.monotonic() < deadline:
            time.sleep(0.1)

    occupy.expand(number=list(range({workers})))
"""


@dataclass(frozen=True)
class Measured:
    """What some runs at once took.

    :param makespan_s: from the first run's creation to the last run's end
    :param trigger_s: from one run's creation to the next one's, on average; 0 for one run
    :param reports: their reports, with Airflow's times
    """

    makespan_s: float
    trigger_s: float
    reports: tuple[RunReport, ...]


class Bench:
    """One running Airflow with warm workers.

    :param airflow: the Airflow
    :param work_dir: its ``[aiopt] work_dir``
    """

    def __init__(self, airflow: LocalAirflow, work_dir: Path) -> None:
        self._airflow = airflow
        self._work_dir = work_dir

    def measure(self, case: Case, images: Path) -> Measured:
        """Create a case's runs, one right after the other, and wait for all of them.

        :param case: the configuration, of this Airflow
        :param images: folder of the photographs of each run
        :raises RuntimeError: if a run fails
        """
        _set_pool(self._airflow, _MODEL_POOL, case.pool_slots)
        _set_pool(self._airflow, _CPU_POOL, case.cpu_pool_slots)
        dag_id = _DAGS[case.mode]
        params = {"source": str(images), "shards": case.shards}
        ids = [self._airflow.trigger(dag_id, params) for _ in range(case.runs)]
        for run_id in ids:
            state = self._airflow.wait_for_run(dag_id, run_id, timeout=_RUN_S)
            if state != "success":
                raise RuntimeError(f"{dag_id} {run_id} ended as {state}; logs: {self._airflow.logs}")
        facts = [self._airflow.dag_run(dag_id, run_id) for run_id in ids]
        created = sorted(_epoch(fact["queued_at"]) for fact in facts)
        ended = max(_epoch(fact["end_date"]) for fact in facts)
        apart_s = (created[-1] - created[0]) / max(1, len(created) - 1)
        return Measured(ended - created[0], apart_s, tuple(self._report(dag_id, run_id) for run_id in ids))

    def _report(self, dag_id: str, run_id: str) -> RunReport:
        api = AirflowApi(self._airflow.url, token=self._airflow.token())
        folder = Folder.open(str(self._work_dir / dag_id / run_id))
        times, queued = api.task_times(dag_id, run_id), api.queued_s(dag_id, run_id)
        return load_run_report(folder, task_times=times, queued_s=queued)


@contextmanager
def bench(folder: Path, configured: Airflow) -> Iterator[Bench]:
    """Run an Airflow with PostgreSQL whose LocalExecutor's workers are warm.

    :param folder: where it keeps everything; a second start there is quicker
    :param configured: what only its start sets
    """
    parallelism = configured.parallelism
    work_dir, dags = folder / "runs", folder / "dags"
    dags.mkdir(parents=True, exist_ok=True)
    warm_up = f"{_WARM_UP}_{parallelism}"
    code = _WARM_UP_DAG.format(dag_id=warm_up, folder=str(folder / "warm"), workers=parallelism)
    (dags / f"{warm_up}.py").write_text(code)
    settings = {
        "AIRFLOW__CORE__PARALLELISM": str(parallelism),
        "AIRFLOW__AIOPT__MAX_ACTIVE_RUNS": str(configured.active_runs),
        "AIRFLOW__AIOPT__WORK_DIR": str(work_dir),
        "AIRFLOW__AIOPT__RETRIES": "0",
        "AIRFLOW__AIOPT__CPU_POOL": _CPU_POOL,
        "AIRFLOW__AIOPT__INFERENCE_POOL": _MODEL_POOL,
    }
    with LocalAirflow(
        folder / "home",
        ROOT / "dags",
        database="postgresql",
        env=settings,
        extra_dags=[dags],
        start_timeout=300,
    ) as airflow:
        for dag_id in (*_DAGS.values(), warm_up):
            airflow.wait_for_dag(dag_id, timeout=120)
            airflow.unpause(dag_id)  # these alone: other templates' sensors would hold slots of the pools
        for pool in (_CPU_POOL, _MODEL_POOL):
            _set_pool(airflow, pool, FREE_SLOTS)
        airflow.wait_for_run(warm_up, airflow.trigger(warm_up), timeout=_RUN_S)
        yield Bench(airflow, work_dir)


def _set_pool(airflow: LocalAirflow, name: str, slots: int) -> None:
    """Give a pool so many slots, making it where there is none."""
    body: dict[str, Any] = {"slots": slots, "include_deferred": True}
    try:
        airflow.request("POST", "/api/v2/pools", json={"name": name, **body})
    except ApiError as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
        airflow.request("PATCH", f"/api/v2/pools/{name}", json={"pool": name, **body})


def _epoch(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
