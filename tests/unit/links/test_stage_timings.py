from __future__ import annotations

import importlib
import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_aiopt import InferenceOperator, IngestOperator
from airflow_provider_aiopt.decorators.timed_stage import TimedStageOperator
from airflow_provider_aiopt.get_provider_info import get_provider_info
from airflow_provider_aiopt.links.stage_timings import StageTimingsLink


def operators() -> set[type[BaseOperator]]:
    info = get_provider_info()
    names = [
        name for kind in ("operators", "sensors") for entry in info[kind] for name in entry["python-modules"]
    ]
    found = {
        value
        for name in names
        for value in vars(importlib.import_module(name)).values()
        if inspect.isclass(value) and issubclass(value, BaseOperator) and value.__module__ == name
    }
    return found | {TimedStageOperator}


@pytest.mark.parametrize("operator", sorted(operators(), key=lambda operator: operator.__name__))
def test_every_operator_has_it(operator: type[BaseOperator]) -> None:
    assert [type(link) for link in operator.operator_extra_links] == [StageTimingsLink]


def test_it_leads_to_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://host/a")
    key: Any = SimpleNamespace(dag_id="photos", run_id="r+1", task_id="t", map_index=2)
    link = StageTimingsLink().get_link(BaseOperator(task_id="t"), ti_key=key)
    assert link == "http://host/a/dags/photos/runs/r%2B1/plugin/aiopt-run"


def test_airflow_serialises_it_for_tasks_mapped_or_not() -> None:
    with DAG("dag", schedule=None) as dag:
        ingest = IngestOperator(task_id="ingest", spec={})
        InferenceOperator.partial(task_id="inference", spec={}).expand(shard=ingest.output)
    restored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    for task in restored.tasks:
        assert list(task.extra_links) == ["Stage timings"]
