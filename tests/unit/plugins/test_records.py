from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_aiopt.operators.inference import InferenceOperator
from airflow_provider_aiopt.operators.ingest import IngestOperator
from airflow_provider_aiopt.operators.postprocess import PostprocessOperator
from airflow_provider_aiopt.operators.preprocess import PreprocessOperator
from airflow_provider_aiopt.plugins import records
from airflow_provider_aiopt.plugins.answers import FoundHardware, FoundReports
from airflow_provider_aiopt.telemetry.testing import EPOCH, make_stage_report, make_task


def xcom(value: Any, key: str = "stage_report") -> Any:
    return SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=3, key=key, value=value)


def found(*rows: Any) -> FoundReports:
    reports = FoundReports()
    for row in rows:
        records._add_reports(reports, row)
    return reports


REPORT = make_stage_report("ingest", task=make_task("elsewhere", 1, 2)).model_dump(mode="json")


def test_an_xcom_is_a_report() -> None:
    (report,) = found(xcom(REPORT)).reports
    assert (report.stage, report.wall_s) == ("ingest", 1)


def test_whose_it_is_says_the_table() -> None:
    (report,) = found(xcom(REPORT)).reports
    assert report.task is not None
    assert report.task.model_dump() == {
        "dag_id": "d",
        "run_id": "r",
        "task_id": "t",
        "map_index": 3,
        "try_number": 2,
    }


def test_a_task_of_several_stages_leaves_a_list() -> None:
    reports = found(xcom([REPORT, REPORT | {"stage": "inference"}], "stage_reports")).reports
    assert [report.stage for report in reports] == ["ingest", "inference"]


def test_an_xcom_may_be_kept_as_text() -> None:
    assert len(found(xcom(json.dumps(REPORT))).reports) == 1


def test_no_object_is_made_of_what_a_task_wrote() -> None:
    made = {
        "__classname__": "airflow.sdk.definitions.asset.Asset",
        "__version__": 1,
        "__data__": {"uri": "x"},
    }
    assert records._plain(json.dumps(made)) == made


@pytest.mark.parametrize("value", [None, "s3://bucket/xcom", 7, {}, [REPORT], REPORT | {"wall_s": -1}])
def test_what_is_no_report_is_counted(value: Any) -> None:
    read = found(xcom(value), xcom(REPORT))
    assert (len(read.reports), read.unreadable) == (1, 1)


HARDWARE = {"stages": ["ingest"], "began_at": "2026-01-01T00:00:00Z", "offsets_s": [1], "cpu_cores": [2]}


def test_a_hardware_account_is_read_and_others_are_counted() -> None:
    hardware = FoundHardware()
    for value in (HARDWARE, json.dumps(HARDWARE), "s3://bucket/xcom", None, {**HARDWARE, "offsets_s": []}):
        records._add_hardware(hardware, xcom(value), 100)
    assert [(task.task_id, task.map_index, task.use.cpu_cores) for task in hardware.tasks] == [
        ("t", 3, (2,))
    ] * 2
    assert hardware.unread == 3


def test_no_more_accounts_are_read_than_allowed() -> None:
    hardware = FoundHardware()
    for _ in range(5):
        records._add_hardware(hardware, xcom(HARDWARE), 2)
    assert (len(hardware.tasks), hardware.unread) == (2, 3)


def task(**fields: Any) -> Any:
    defaults = {
        "task_id": "t",
        "map_index": -1,
        "try_number": 1,
        "scheduled_dttm": EPOCH,
        "queued_dttm": EPOCH,
        "start_date": EPOCH,
        "end_date": None,
        "state": "running",
        "operator": "IngestOperator",
        "hostname": "worker",
        "pool": "default_pool",
    }
    return SimpleNamespace(**(defaults | fields))


def test_a_task_instance_has_its_operators_stage() -> None:
    facts = records._task_facts(task())
    assert (facts.stage, facts.host, facts.started_at, facts.ended_at) == ("ingest", "worker", EPOCH, None)


@pytest.mark.parametrize(
    ("operator", "stage"),
    [("PipelineOperator", "t"), ("TimedStageOperator", "t"), ("BashOperator", None), (None, None)],
)
def test_other_operators(operator: str | None, stage: str | None) -> None:
    assert records._task_facts(task(operator=operator, hostname=None)).stage == stage


@pytest.mark.parametrize(
    "operator", [IngestOperator, PreprocessOperator, InferenceOperator, PostprocessOperator]
)
def test_every_stage_operator_is_known(operator: Any) -> None:
    assert records._STAGES[operator.__name__] == operator.stage


def test_many_values_are_asked_for_in_parts() -> None:
    assert [len(chunk) for chunk in records._chunks(range(1001))] == [500, 500, 1]
    assert list(records._chunks([])) == []
