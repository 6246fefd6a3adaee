from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow_fakes import FakeTaskInstance, task_context

from airflow_provider_aiopt import (
    InferenceOperator,
    IngestOperator,
    PipelineOperator,
    PlanOperator,
    PostprocessOperator,
)
from airflow_provider_aiopt.airflow.context import REPORT_KEY, REPORTS_KEY, RUN_REPORT_KEY
from airflow_provider_aiopt.airflow.run_report import push_run_report
from airflow_provider_aiopt.operators.base import reporting_before
from airflow_provider_aiopt.telemetry.reports import STAGES, StageReport
from airflow_provider_aiopt.telemetry.testing import make_stage_report, make_task


def xcom(report: StageReport) -> dict[str, Any]:
    return report.model_dump(mode="json")


@pytest.fixture
def staged() -> PostprocessOperator:
    with DAG("dag", schedule=None):
        start = EmptyOperator(task_id="start")
        ingest = IngestOperator(task_id="ingest", spec={})
        inference = InferenceOperator.partial(task_id="inference", spec={}).expand(shard=ingest.output)
        last = PostprocessOperator(task_id="postprocess", spec={}, shard=inference.output)
        start >> ingest
    return last


def left(instance: FakeTaskInstance, task: Any, *own: StageReport) -> Any:
    push_run_report(task_context(instance), reporting_before(task), own)
    return instance.xcoms.get(RUN_REPORT_KEY)


def test_the_last_stage_leaves_the_account_of_all(staged: PostprocessOperator) -> None:
    shards = [
        make_stage_report(
            "inference", start=2, wall_s=3, items_out=4, shard=f"0000{n}", task=make_task("inference", n)
        )
        for n in range(2)
    ]
    ingest = make_stage_report("ingest", items_in=9, items_out=8, quarantined=1, task=make_task("ingest"))
    others = {
        ("ingest", REPORT_KEY): [xcom(ingest)],
        ("inference", REPORT_KEY): [xcom(report) for report in shards],
    }
    own = make_stage_report(
        "postprocess", start=6, wall_s=0.5, items_in=8, items_out=8, task=make_task("postprocess")
    )

    found = left(FakeTaskInstance("postprocess", others=others), staged, own)

    assert (found["records_in"], found["results"], found["quarantined"]) == (9, 8, 1)
    assert (found["bottleneck"], found["wall_s"]) == ("inference", 6.5)
    assert {name: stage["tasks"] for name, stage in found["stages"].items()} == {
        "ingest": 1,
        "inference": 2,
        "postprocess": 1,
    }
    assert found["stages"]["inference"]["items"] == 8
    assert len(json.dumps(found)) < 4096


def test_only_tasks_that_may_report_are_asked(
    staged: PostprocessOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(FakeTaskInstance, "xcom_pull", lambda _, task_ids, key: asked.extend(task_ids))
    left(FakeTaskInstance("postprocess"), staged, make_stage_report("postprocess"))
    assert set(asked) == {"ingest", "inference"}


class TestMapped:
    """A streamed run over the shards of a plan, of which any may be the last."""

    @pytest.fixture
    def task(self) -> PipelineOperator:
        with DAG("dag", schedule=None):
            plan = PlanOperator(task_id="plan", spec={})
            return PipelineOperator(task_id="pipeline", spec={}, shard=plan.output)

    def reports(self, index: int) -> list[StageReport]:
        return [
            make_stage_report(stage, shard=f"0000{index}", items_out=5, task=make_task("pipeline", index))
            for stage in STAGES
        ]

    def left(self, task: PipelineOperator, reported: list[int], **counts: int) -> Any:
        others = {
            ("plan", REPORT_KEY): [xcom(make_stage_report("ingest", task=make_task("plan")))],
            ("pipeline", REPORTS_KEY): [[xcom(item) for item in self.reports(index)] for index in reported],
        }
        instance = FakeTaskInstance("pipeline", map_index=1, others=others, **counts)
        return left(instance, task, *self.reports(1))

    def test_the_last_one_leaves_the_account_of_all(self, task: PipelineOperator) -> None:
        found = self.left(task, [0, 1, 2], instances=3, succeeded=2)
        assert (found["results"], found["stages"]["postprocess"]["tasks"]) == (15, 3)

    def test_so_does_one_whose_neighbours_are_ending(self, task: PipelineOperator) -> None:
        assert self.left(task, [0, 1, 2], instances=3, succeeded=0) is not None

    def test_others_leave_none(self, task: PipelineOperator) -> None:
        assert self.left(task, [0, 1], instances=3, succeeded=1) is None

    def test_one_far_from_the_end_does_not_even_look(
        self, task: PipelineOperator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(FakeTaskInstance, "xcom_pull", lambda *_, **__: pytest.fail("it looked"))
        assert self.left(task, [], instances=100, succeeded=50) is None

    def test_a_single_shard_is_the_whole(self, task: PipelineOperator) -> None:
        assert self.left(task, [], instances=1)["stages"]["inference"]["tasks"] == 1


def test_what_goes_wrong_costs_the_account_only(
    staged: PostprocessOperator, caplog: pytest.LogCaptureFixture
) -> None:
    others = {("ingest", REPORT_KEY): ["no report"]}
    assert left(FakeTaskInstance("postprocess", others=others), staged, make_stage_report()) is None
    assert "is not left as the XCom run_report" in caplog.text
