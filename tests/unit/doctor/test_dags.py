from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.providers.standard.sensors.external_task import ExternalTaskSensor
from airflow.providers.standard.sensors.filesystem import FileSensor
from airflow.sdk import DAG, Asset, AssetWatcher
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_aiopt import NewUploadTrigger
from airflow_provider_aiopt.doctor.dags import DagFacts, TaskFacts, dag_from_api, dag_from_serialized


def read(dag: DAG) -> DagFacts:
    return dag_from_serialized(DagSerialization.to_dict(dag), max_active_runs=3, max_active_tasks=4)


def task_of(dag: DAG) -> TaskFacts:
    (task,) = read(dag).tasks
    return task


def test_a_plain_task() -> None:
    with DAG("d") as dag:
        EmptyOperator(task_id="t")
    assert read(dag) == DagFacts("d", 3, 4, (TaskFacts("t", "EmptyOperator"),))


def test_where_a_task_waits() -> None:
    with DAG("d") as dag:
        EmptyOperator(task_id="t", pool="gpus", pool_slots=2, queue="gpu")
    found = task_of(dag)
    assert (found.pool, found.pool_slots, found.queue, found.pokes) == ("gpus", 2, "gpu", False)


def test_a_mapped_task_has_what_is_not_mapped() -> None:
    with DAG("d") as dag:
        BashOperator.partial(task_id="t", pool="gpus", pool_slots=2).expand(bash_command=["true"])
    found = task_of(dag)
    assert (found.kind, found.pool, found.pool_slots) == ("BashOperator", "gpus", 2)


def test_a_sensor_in_poke_mode_holds_a_slot_and_one_that_reschedules_does_not() -> None:
    with DAG("d") as dag:
        FileSensor(task_id="pokes", filepath="/x")
        FileSensor(task_id="reschedules", filepath="/x", mode="reschedule")
    assert {task.task_id: task.pokes for task in read(dag).tasks} == {"pokes": True, "reschedules": False}


def test_for_which_dag_a_task_waits() -> None:
    with DAG("d") as dag:
        ExternalTaskSensor(task_id="sensor", external_dag_id="other")
        ExternalTaskSensor(task_id="templated", external_dag_id="{{ var.value.x }}")
        TriggerDagRunOperator(task_id="waits", trigger_dag_id="other", wait_for_completion=True)
        TriggerDagRunOperator(task_id="goes-on", trigger_dag_id="other")
    found = {task.task_id: (task.awaits, task.starts, task.pokes) for task in read(dag).tasks}
    assert found == {
        "sensor": ("other", False, True),
        "templated": (None, False, True),
        "waits": ("other", True, True),
        "goes-on": (None, False, False),
    }


def test_a_dag_that_a_trigger_starts() -> None:
    watcher = AssetWatcher(name="w", trigger=NewUploadTrigger(uri="/inbox"))
    with DAG("d", schedule=[Asset("photos", watchers=[watcher])]) as dag:
        EmptyOperator(task_id="t")
    assert read(dag).watches
    with DAG("d", schedule=[Asset("photos")]) as dag:
        EmptyOperator(task_id="t")
    assert not read(dag).watches


def test_what_the_api_tells() -> None:
    task: dict[str, Any] = {"task_id": "t", "pool": "gpus", "pool_slots": 2.0, "queue": "gpu"}
    tasks = [task | {"operator_name": "FileSensor"}, task | {"operator_name": None, "pool": None}]
    found = dag_from_api({"dag_id": "d", "max_active_runs": None, "max_active_tasks": 16}, tasks)
    assert (found.dag_id, found.max_active_runs, found.max_active_tasks) == ("d", None, 16)
    assert not found.serialized
    assert found.tasks == (
        TaskFacts("t", "FileSensor", "gpus", 2, "gpu", pokes=True),
        TaskFacts("t", "", "default_pool", 2, "gpu"),
    )
