from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow_fakes import FakeTaskInstance, task_context

from airflow_provider_aiopt.airflow import pod_results
from airflow_provider_aiopt.airflow.pod_results import account, find_result, parse_result, returned
from airflow_provider_aiopt.exceptions import ReportError
from airflow_provider_aiopt.kubernetes.status import PodFacts
from airflow_provider_aiopt.runner.stage_result import StageResult
from airflow_provider_aiopt.telemetry.testing import RecordingMetrics, make_stage_report

MADE = ("preprocess/00000",)


@pytest.mark.parametrize(
    ("result", "shard", "expected"),
    [
        (StageResult(work="preprocess", references=MADE), "ingest/00000", "preprocess/00000"),
        (StageResult(work="preprocess", references=MADE), ["ingest/00000"], ["preprocess/00000"]),
        (StageResult(work="plan", references=("ingest/00000",)), None, ["ingest/00000"]),
        (StageResult(work="pipeline", results_uri="/r", results=3), "ingest/00000",
         {"results_uri": "/r", "results": 3}),
    ],
)  # fmt: skip
def test_what_is_handed_on_is_what_the_stages_own_operator_gives(
    result: StageResult, shard: Any, expected: Any
) -> None:
    assert returned(result, shard) == expected


def test_a_result_lies_in_the_workspace_under_the_pods_name(tmp_path: Path) -> None:
    given = StageResult(work="plan", references=("ingest/00000",))
    (tmp_path / "pods").mkdir()
    (tmp_path / "pods" / "stage-x.json").write_text(given.to_json())
    assert find_result(str(tmp_path), "stage-x") == given
    assert find_result(str(tmp_path), "stage-y") is None


def test_what_else_lies_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "pods").mkdir()
    (tmp_path / "pods" / "stage-x.json").write_text("{}")
    with pytest.raises(ReportError, match=r"pods/stage-x\.json is no result"):
        find_result(str(tmp_path), "stage-x")
    with pytest.raises(ReportError, match="What the pod's sidecar handed on is no result"):
        parse_result({"x": 1})
    assert parse_result(None) is None


def test_a_pods_time_is_sent_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = RecordingMetrics()
    monkeypatch.setattr(pod_results, "AirflowMetrics", lambda: sent)
    status = {
        "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:02Z"}
        ],
        "containerStatuses": [{"name": "base", "state": {"running": {"startedAt": "2026-01-01T00:00:03Z"}}}],
    }
    pod = {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "status": status}
    instance = FakeTaskInstance("infer")
    report = make_stage_report("inference", start=4.0)
    result = StageResult(work="inference", references=MADE, stage_reports=(report,))

    account(task_context(instance), "inference", PodFacts("ai", "p", pod), result)

    pods = {item.metric.name: item.value for item in sent.sent if ".pod." in item.metric.name}
    assert pods == {
        "ai_pipeline.pod.schedule": 2000.0,
        "ai_pipeline.pod.start": 1000.0,
        "ai_pipeline.pod.boot": 1000.0,
    }
    assert {item.tags["task_id"] for item in sent.sent if ".pod." in item.metric.name} == {"infer"}
    assert instance.xcoms["pod_timings"]["schedule_s"] == 2.0
    assert instance.xcoms["stage_report"]["details"]["pod_s"]["boot"] == 1.0


def test_a_pod_that_failed_early_leaves_what_is_known() -> None:
    instance = FakeTaskInstance()
    account(task_context(instance), "inference", PodFacts("ai", "p"), None)
    assert instance.xcoms == {"pod_timings": {}}
