from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow_fakes import FakeTaskInstance, task_context

from airflow_provider_aiopt.airflow.context import REPORT_KEY, REPORTS_KEY
from airflow_provider_aiopt.airflow.reports import is_run_callback, run_reports, task_reports
from airflow_provider_aiopt.exceptions import ReportError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def report(stage: str) -> dict[str, Any]:
    ends = NOON.isoformat()
    return {
        "pipeline": "p",
        "stage": stage,
        "started_at": ends,
        "ended_at": ends,
        "wall_s": 1.0,
        "busy_s": 1.0,
    }


def stages(found: list[Any]) -> list[str]:
    return [item.stage for item in found]


class TestTask:
    def test_one_stage(self) -> None:
        instance = FakeTaskInstance(map_index=3, xcoms={REPORT_KEY: report("inference")})
        assert stages(task_reports(task_context(instance))) == ["inference"]

    def test_several(self) -> None:
        instance = FakeTaskInstance(xcoms={REPORTS_KEY: [report("ingest"), report("inference")]})
        assert stages(task_reports(task_context(instance))) == ["ingest", "inference"]

    def test_none(self) -> None:
        assert task_reports(task_context()) == []

    @pytest.mark.parametrize("value", ["text", 7, {"stage": "x"}, [1]], ids=repr)
    def test_something_else_under_the_key(self, value: Any) -> None:
        with pytest.raises(
            ReportError, match=r"stage_report or stage_reports of a task is no stage report: "
        ):
            task_reports(task_context(FakeTaskInstance(xcoms={REPORT_KEY: value})))


class TestRun:
    def context(self, **others: Any) -> dict[str, Any]:
        instance = FakeTaskInstance(
            others={
                ("ingest", REPORT_KEY): [report("ingest")],
                ("shards", REPORTS_KEY): [[report("preprocess"), report("inference")], [report("inference")]],
            }
        )
        dag = SimpleNamespace(task_ids={"ingest", "shards", "something"})
        return {"ti": instance, "dag": dag, "reason": "success", **others}

    def test_all_tasks_mapped_ones_included(self) -> None:
        found = stages(run_reports(self.context()))
        assert sorted(found) == ["inference", "inference", "ingest", "preprocess"]

    def test_without_a_task_instance(self) -> None:
        assert run_reports(self.context(ti=None)) == []

    def test_only_the_callback_of_a_dag_is_for_the_run(self) -> None:
        assert is_run_callback(self.context())
        assert not is_run_callback(task_context())
