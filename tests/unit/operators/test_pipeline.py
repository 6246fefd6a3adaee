from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow_fakes import FakeAssetEvent, FakeTaskInstance, MappedOutputs, task_context

from airflow_provider_aiopt import PipelineOperator, PlanOperator
from airflow_provider_aiopt.airflow.context import REPORT_KEY, REPORTS_KEY
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.data.versions import local_version
from airflow_provider_aiopt.runner import planning
from airflow_provider_aiopt.spec.uploads import load_watch_spec
from airflow_provider_aiopt.telemetry.reports import ADVICE, STAGES, StageReport
from airflow_provider_aiopt.telemetry.run_report import load_run_report
from airflow_provider_aiopt.uploads.payloads import make_payload
from airflow_provider_aiopt.uploads.state import open_state


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_pipeline: Callable[[Path], Any]) -> Any:
    monkeypatch.setenv("AIRFLOW__AIOPT__WORK_DIR", str(tmp_path / "work"))
    return write_pipeline(tmp_path)


def execute(operator: Any, **instance: Any) -> tuple[Any, FakeTaskInstance]:
    ti = FakeTaskInstance(operator.task_id, **instance)
    return operator.execute(task_context(ti)), ti


def plan(spec: Any) -> list[str]:
    refs, ti = execute(PlanOperator(task_id="plan", spec=spec))
    assert StageReport.model_validate(ti.xcoms[REPORT_KEY]).items_in == 0
    return refs


def test_a_plan_and_a_task_for_each_shard(spec: Any, tmp_path: Path) -> None:
    shards = plan(spec)
    assert shards == ["ingest/00000", "ingest/00001"]
    for index, shard in enumerate(shards):
        answer, ti = execute(PipelineOperator(task_id="pipeline", spec=spec, shard=shard), map_index=index)
        assert answer == {"results_uri": str(tmp_path / "work" / "dag" / "run" / "results"), "results": 2}
        reports = [StageReport.model_validate(report) for report in ti.xcoms[REPORTS_KEY]]
        assert [(report.stage, report.shard) for report in reports] == [
            (stage, f"0000{index}") for stage in STAGES
        ]
    report = load_run_report(Folder.open(str(tmp_path / "work" / "dag" / "run")))
    assert (report.records_in, report.results, report.overlapped) == (4, 4, True)


def test_all_shards_of_a_plan_in_one_task(spec: Any) -> None:
    shards = MappedOutputs(plan(spec))
    answer, _ = execute(PipelineOperator(task_id="pipeline", spec=spec, shard=shards))
    assert answer["results"] == 4


def test_no_plan(spec: Any) -> None:
    answer, _ = execute(PipelineOperator(task_id="pipeline", spec=spec))
    assert answer["results"] == 4


def test_the_end_of_a_run_says_what_limits_it(spec: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        _, ti = execute(PipelineOperator(task_id="pipeline", spec=spec))
    *others, last = (StageReport.model_validate(report) for report in ti.xcoms[REPORTS_KEY])
    assert str(last.details[ADVICE]).startswith("Limited by ")
    assert last.details[ADVICE] in caplog.messages
    assert all(ADVICE not in report.details for report in others)


def test_a_stream_is_profiled_as_a_whole(spec: Any, tmp_path: Path) -> None:
    shard = plan(spec)[0]
    task = PipelineOperator(task_id="pipeline", spec=spec, shard=shard, profile="cprofile")
    _, ti = execute(task, map_index=0)
    first, *others = [StageReport.model_validate(report) for report in ti.xcoms[REPORTS_KEY]]
    account: Any = first.details["profile"]
    assert account["uri"] == str(tmp_path / "work" / "dag" / "run" / "profiles" / "stream-00000")
    assert not any("profile" in report.details for report in others)
    assert sum(len(json.dumps(report, separators=(",", ":"))) for report in ti.xcoms[REPORTS_KEY]) <= 4096


def test_the_deployment_bounds_the_shards(spec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIOPT__MAX_SHARDS", "1")
    with pytest.raises(AirflowFailException, match=r"shards is 2; \[aiopt\] max_shards allows 1"):
        plan(spec)
    spec["execution"] = {"shard_bytes": 1, "workers": 1}
    assert plan(spec) == ["ingest/00000"]


class TestUploads:
    """A pipeline over the files that started the run, of a row each."""

    @pytest.fixture
    def spec(self, spec: Any, tmp_path: Path) -> Any:
        inbox = tmp_path / "inbox"
        inbox.mkdir()
        for name in ("a.csv", "b.csv", "c.csv"):
            (inbox / name).write_text("a,b\n1,1\n")
        return spec | {"source": spec["source"] | {"uri": str(inbox), "pattern": "*.csv"}}

    def execute(self, spec: Any, names: Sequence[str], run_id: str = "run", **options: Any) -> int:
        """Run the task of a run that an event of the files *names* started; return its number of results."""
        watch = {"uri": spec["source"]["uri"], "pattern": ["*.csv"]}
        watched = load_watch_spec(watch)
        state = open_state(watched, default=os.environ["AIRFLOW__AIOPT__WORK_DIR"] + "/uploads")
        payload = make_payload(watched, [upload(Path(watch["uri"], name)) for name in names], state)
        events = {"photos": [FakeAssetEvent.carrying(payload)]} if names else {}
        operator = PipelineOperator(task_id="pipeline", spec=spec, uploads=watch, **options)
        instance = FakeTaskInstance("pipeline", run_id=run_id)
        answer = operator.execute(task_context(instance, context={"triggering_asset_events": events}))
        return int(answer["results"])

    def test_only_they_are_its_records(self, spec: Any) -> None:
        assert self.execute(spec, ["a.csv", "c.csv"]) == 2
        assert self.execute(spec, ["a.csv", "c.csv"]) == 2  # as a retry does

    def test_what_another_run_has_is_left_to_it(self, spec: Any) -> None:
        self.execute(spec, ["a.csv"])
        assert self.execute(spec, ["a.csv", "b.csv"], "second") == 1
        with pytest.raises(AirflowSkipException, match="other runs have all 2"):
            self.execute(spec, ["a.csv", "b.csv"], "third")

    def test_a_run_by_hand_is_skipped(self, spec: Any) -> None:
        with pytest.raises(AirflowSkipException, match="not started for uploads of"):
            self.execute(spec, [])

    def test_a_manifest_as_well_is_refused_before_anything_is_claimed(self, spec: Any) -> None:
        other = spec | {"source": spec["source"] | {"manifest": "/list.jsonl"}}
        with pytest.raises(
            AirflowFailException, match="Task pipeline has uploads as its source, and a shard"
        ):
            self.execute(other, ["a.csv"])
        assert self.execute(spec, ["a.csv"], "second") == 1

    def test_shards_as_well_are_refused(self, spec: Any) -> None:
        with pytest.raises(
            AirflowFailException, match="Task pipeline has uploads as its source, and a shard"
        ):
            self.execute(spec, ["a.csv"], shard="ingest/00000")


def upload(path: Path) -> Upload:
    status = path.stat()
    return Upload(path.as_uri(), status.st_size, local_version(status), 100.0)


def test_it_can_be_mapped_over_a_plan() -> None:
    with DAG("dag", schedule=None) as dag:
        planned = PlanOperator(task_id="plan", spec={})
        PipelineOperator.partial(task_id="pipeline", spec={}).expand(shard=planned.output)
    assert dag.get_task("pipeline").upstream_task_ids == {"plan"}


def test_its_shard_is_templated() -> None:
    task = PipelineOperator(task_id="pipeline", spec={}, shard="ingest/{{ params.shard }}")
    task.render_template_fields({"params": {"shard": "00003"}})
    assert task.shard == "ingest/00003"


class TestKill:
    def test_a_run_that_is_under_way_ends(self, spec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        task = PlanOperator(task_id="plan", spec=spec)
        monkeypatch.setattr(
            planning, "plan_run", lambda _: task.on_kill()
        )  # as from Airflow's signal handler
        with pytest.raises(KeyboardInterrupt, match="told the task to end"):
            execute(task)

    def test_the_cleaning_up_is_not_interrupted_again(
        self, spec: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        task = PlanOperator(task_id="plan", spec=spec)
        cleaned = []

        def run(_: Any) -> None:
            try:
                task.on_kill()
            finally:
                task.on_kill()
                cleaned.append(True)

        monkeypatch.setattr(planning, "plan_run", run)
        with pytest.raises(KeyboardInterrupt):
            execute(task)
        assert cleaned

    def test_before_and_after_it_there_is_nothing_to_end(self, spec: Any) -> None:
        """As Airflow calls it for a task that has run out of time, and goes on with that."""
        task = PlanOperator(task_id="plan", spec=spec)
        task.on_kill()
        execute(task)
        task.on_kill()
