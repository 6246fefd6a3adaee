"""Sick pipelines that run in a real Airflow."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from airflow_provider_aiopt.advisor.applying import airflow_environment, pool_slots, spec_overrides
from airflow_provider_aiopt.advisor.models import Change
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.telemetry.airflow_api import AirflowApi, AirflowPool
from airflow_provider_aiopt.telemetry.reports import RunReport
from airflow_provider_aiopt.telemetry.run_report import load_run_report
from benchmarks.paths import ROOT
from benchmarks.sick import inputs
from benchmarks.sick.case import Illness, Patient
from benchmarks.sick.helpers import beside

_DAGS = Path(__file__).parent / "dags"
_PARAMS = {"execution.shards": "shards", "execution.batch_size": "batch_size"}
"""Params of the DAGs by the key in the spec that each sets."""
_TIMEOUT_S = 300.0
_WARM_UPS = 2
_WARM_SLOTS = 16


@dataclass(frozen=True)
class AirflowIllness(Illness):
    """An illness of a pipeline that Airflow runs.

    :param dag_id: the DAG
    :param params: params of the sick run
    :param images: photographs
    :param wait_s: seconds that the storage waits before each of them; 0 for local files
    :param pools: slots of the pools that the DAG's tasks wait in
    :param environment: Airflow's options of the sick run
    """

    dag_id: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    images: int = 0
    wait_s: float = 0.0
    pools: Mapping[str, int] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def patient(self, folder: Path) -> Patient:
        """Return the pipeline."""
        return _AirflowPatient(self, folder)


class _AirflowPatient(Patient):
    """Keeps one Airflow as long as its options stay the same."""

    def __init__(self, illness: AirflowIllness, folder: Path) -> None:
        self._illness = illness
        self._folder = folder
        self._outer = ExitStack()
        self._inner = ExitStack()
        self._options: Mapping[str, str] | None = None
        self._airflow: Any = None
        self._source = ""

    def __enter__(self) -> Self:
        objects = inputs.small_photographs(self._illness.images)
        self._source = str(objects)
        if self._illness.wait_s:
            port = self._outer.enter_context(
                beside("storage_server", str(objects), str(self._illness.wait_s))
            )
            self._source = f"http://127.0.0.1:{port}/"
        return self

    def __exit__(self, *_: object) -> None:
        self._inner.close()
        self._outer.close()

    def run(self, changes: Sequence[Change] = ()) -> RunReport:
        self._start({**self._illness.environment, **airflow_environment(changes)})
        self._set_pools({**self._illness.pools, **pool_slots(changes)})
        # What the DAG has no param for stays as it is, and the measured gain shows it.
        overrides = {_PARAMS[key]: value for key, value in spec_overrides(changes).items() if key in _PARAMS}
        return self._run({**self._illness.params, **overrides, "source": self._source})

    def _start(self, options: Mapping[str, str]) -> None:
        if options == self._options:
            return
        self._inner.close()
        local_airflow = _local_airflow()
        home = self._folder / "airflow"
        environment = {
            **options,
            "AIRFLOW__AIOPT__WORK_DIR": str(self._folder / "runs"),
            "AIRFLOW__AIOPT__RETRIES": "0",
            "PYTHONPATH": str(ROOT),
        }
        self._airflow = self._inner.enter_context(
            local_airflow.LocalAirflow(
                home, ROOT / "dags", env=environment, extra_dags=[_DAGS], start_timeout=180
            )
        )
        self._options = options
        dag_id = self._illness.dag_id
        self._airflow.wait_for_dag(dag_id)
        self._airflow.unpause(dag_id)
        # The first task of a worker that has just started imports all of Airflow, which is no illness: all of
        # the workers are to have had theirs.
        self._set_pools(dict.fromkeys(self._illness.pools, _WARM_SLOTS))
        for _ in range(_WARM_UPS):
            self._run({**self._illness.params, "source": str(inputs.small_photographs(12))})

    def _set_pools(self, pools: Mapping[str, int]) -> None:
        api = self._api()
        known = api.pools()
        for name, slots in pools.items():
            pool = AirflowPool(name=name, slots=slots, include_deferred=True)
            if name not in known:
                api.create_pool(pool, "of the benchmark")
            elif known[name].slots != slots:
                api.update_pool(pool)

    def _run(self, params: Mapping[str, Any]) -> RunReport:
        dag_id = self._illness.dag_id
        run_id = self._airflow.trigger(dag_id, params)
        state = self._airflow.wait_for_run(dag_id, run_id, timeout=_TIMEOUT_S)
        if state != "success":
            raise RuntimeError(f"The run {run_id} of {dag_id} ended as {state}; logs: {self._airflow.logs}")
        workspace = Folder.open(str(self._folder / "runs" / dag_id / run_id))
        return load_run_report(workspace, task_times=self._api().task_times(dag_id, run_id))

    def _api(self) -> AirflowApi:
        return AirflowApi(self._airflow.url, token=self._airflow.token())


def _local_airflow() -> Any:
    """Return the package of ``scripts`` that starts an Airflow."""
    scripts = str(ROOT / "scripts")
    if scripts not in sys.path:
        sys.path.append(scripts)
    import local_airflow

    return local_airflow
