from __future__ import annotations

import pytest
from airflow.sdk import DAG

from airflow_provider_aiopt.airflow.concurrency import (
    cpu_task_options,
    inference_task_options,
    run_limits,
)
from airflow_provider_aiopt.exceptions import ConfigurationError
from airflow_provider_aiopt.get_provider_info import CONFIG


@pytest.fixture(autouse=True)
def _no_options(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CONFIG["aiopt"]["options"]:
        monkeypatch.delenv(f"AIRFLOW__AIOPT__{name.upper()}", raising=False)


def configure(monkeypatch: pytest.MonkeyPatch, **options: str) -> None:
    for name, value in options.items():
        monkeypatch.setenv(f"AIRFLOW__AIOPT__{name.upper()}", value)


def test_limits_of_a_dag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG", "11")
    dag = DAG("one", schedule=None, **run_limits())
    assert (dag.max_active_runs, dag.max_active_tasks) == (4, 11), "Airflow's own where there is none of ours"

    configure(monkeypatch, max_active_runs="9", max_active_tasks="5")
    dag = DAG("two", schedule=None, **run_limits())
    assert (dag.max_active_runs, dag.max_active_tasks) == (9, 5)


def test_where_tasks_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cpu_task_options() == inference_task_options() == {"pool": "default_pool", "pool_slots": 1}

    configure(monkeypatch, cpu_pool="small", gpu_pool_slots="4", gpus_per_task="2", gpu_queue="gpu")
    assert cpu_task_options() == {"pool": "small", "pool_slots": 1}
    assert inference_task_options() == {"pool": "gpus", "pool_slots": 2, "queue": "gpu"}


def test_a_wrong_option_is_an_import_error_of_the_dag(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, gpu_pool_slots="1", gpus_per_task="2")
    with pytest.raises(ConfigurationError, match="would wait for ever"):
        inference_task_options()
