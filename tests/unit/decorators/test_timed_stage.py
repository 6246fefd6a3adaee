from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow_fakes import FakeTaskInstance, task_context

from airflow_provider_aiopt.airflow.context import REPORT_KEY
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.decorators import timed_stage as module
from airflow_provider_aiopt.decorators.timed_stage import TimedStageOperator, timed_stage, timed_stage_task
from airflow_provider_aiopt.exceptions import StorageError
from airflow_provider_aiopt.telemetry.reports import StageReport
from airflow_provider_aiopt.telemetry.run_report import load_stage_reports


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTaskInstance:
    """The running task, whose run's workspace is ``tmp_path / "dag" / "run"``."""
    instance = FakeTaskInstance("resize")
    monkeypatch.setenv("AIRFLOW__AIOPT__WORK_DIR", str(tmp_path))
    monkeypatch.setattr(module, "get_current_context", lambda: task_context(instance))
    return instance


def reports(folder: Path) -> list[StageReport]:
    return list(load_stage_reports(Folder.open(str(folder))))


def test_a_block_is_a_stage_of_the_run(task: FakeTaskInstance, tmp_path: Path) -> None:
    with timed_stage("resize") as stage:
        stage.items_in = stage.items_out = 3
        with stage.phase("wait_input"):
            pass

    (report,) = reports(tmp_path / "dag" / "run")
    assert (report.stage, report.pipeline, report.items_out, report.state) == ("resize", "dag", 3, "success")
    assert report.task is not None
    assert report.task.task_id == "resize"
    assert StageReport.model_validate(task.xcoms[REPORT_KEY]) == report


def test_several_stages_in_one_task_each_have_a_report(task: FakeTaskInstance, tmp_path: Path) -> None:
    for name in ("first", "second"):
        with timed_stage(name):
            pass
    assert [report.stage for report in reports(tmp_path / "dag" / "run")] == ["first", "second"]


def test_a_workspace_of_ones_own(task: FakeTaskInstance, tmp_path: Path) -> None:
    with timed_stage("resize", workspace=str(tmp_path / "mine")):
        pass
    assert len(reports(tmp_path / "mine")) == 1


def test_a_block_that_raises_reports_it_and_the_error_goes_on(task: FakeTaskInstance, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), timed_stage("resize"):
        _ = 1 / 0
    (report,) = reports(tmp_path / "dag" / "run")
    assert (report.state, report.error) == ("failed", "ZeroDivisionError: division by zero")
    assert task.xcoms[REPORT_KEY]["state"] == "failed"


def test_a_work_dir_that_cannot_be_written_costs_the_report_alone(
    task: FakeTaskInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AIRFLOW__AIOPT__WORK_DIR", str(tmp_path / "file"))
    with pytest.raises(ZeroDivisionError), timed_stage("resize"):
        _ = 1 / 0
    assert "The report of stage resize was not written" in caplog.text


def test_a_work_dir_that_cannot_be_opened_is_found_before_the_work(
    task: FakeTaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__AIOPT__WORK_DIR", "nosuchscheme://bucket")
    worked = []
    with pytest.raises(StorageError, match="nosuchscheme"), timed_stage("resize"):
        worked.append(True)
    assert not worked


def run_task(decorated: Any, *arguments: Any) -> Any:
    with DAG("dag", schedule=None) as dag:
        decorated(*arguments)
    (operator,) = dag.tasks
    assert isinstance(operator, TimedStageOperator)
    operator.render_template_fields({"params": {"size": "small"}})
    return operator.execute(task_context(FakeTaskInstance("resize")))


def test_a_function_becomes_a_timed_task_with_its_own_name(task: FakeTaskInstance, tmp_path: Path) -> None:
    @timed_stage_task
    def resize(number: int) -> int:
        return number * 2

    assert run_task(resize, 21) == 42
    assert [report.stage for report in reports(tmp_path / "dag" / "run")] == ["resize"]


def test_the_stages_name_may_be_given_and_templated(task: FakeTaskInstance, tmp_path: Path) -> None:
    @timed_stage_task(stage="to {{ params.size }}", task_id="other")
    def resize() -> None:
        return None

    run_task(resize)
    assert [report.stage for report in reports(tmp_path / "dag" / "run")] == ["to small"]
