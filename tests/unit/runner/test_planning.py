from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_aiopt.data.manifest import ShardRef
from airflow_provider_aiopt.data.uploads import Upload, to_jsonl
from airflow_provider_aiopt.data.versions import local_version
from airflow_provider_aiopt.exceptions import ShardError, TooManyBadRecordsError
from airflow_provider_aiopt.runner.index import read_index
from airflow_provider_aiopt.runner.planning import plan_run
from airflow_provider_aiopt.runner.staged import run_pipeline
from airflow_provider_aiopt.runner.streaming import run_streaming
from airflow_provider_aiopt.runner.streaming.sink import StreamSink
from airflow_provider_aiopt.telemetry.reports import STAGES

Make = Callable[[Path], Any]


def run_mapped(context: Any) -> list[Any]:
    """List once, then stream each shard as a task of its own, the last one first."""
    refs = plan_run(context).refs
    return [run_streaming(context, [ref]) for ref in reversed(refs)][::-1]


def result_files(pipeline: Any) -> list[str]:
    return sorted(path.name for path in (pipeline.folder / "work" / "run" / "results").glob("*"))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    numbers=st.lists(
        st.tuples(st.integers(-999, 999), st.one_of(st.integers(-999, 999), st.just("bad"))), max_size=30
    ),
    options=st.fixed_dictionaries(
        {
            "execution__batch_size": st.integers(1, 9),
            "execution__workers": st.integers(1, 4),
        },
        optional={"execution__shards": st.integers(1, 7)},
    )
    | st.fixed_dictionaries({"execution__shard_bytes": st.integers(1, 200)}),
)
def test_mapped_streaming_staged_and_unmapped_agree(
    make_pipeline: Make,
    tmp_path_factory: pytest.TempPathFactory,
    numbers: list[tuple[int, int | str]],
    options: dict[str, Any],
) -> None:
    found = []
    for run in (run_mapped, run_streaming, run_pipeline):
        pipeline = make_pipeline(tmp_path_factory.mktemp("run"))
        pipeline.write_rows(*numbers)
        run(pipeline.context(**options))
        report = pipeline.report()
        found.append(
            (
                list(pipeline.results().items()),
                {bad.id: bad.error_class for bad in pipeline.quarantine()},
                result_files(pipeline),
                (report.records_in, report.results, report.quarantined),
            )
        )
    assert found[0] == found[1] == found[2]
    assert found[0][3][0] == len(numbers)


def test_each_shard_leaves_a_report_of_each_stage(pipeline: Any) -> None:
    run_mapped(pipeline.context(execution__shards=3))
    tasks = pipeline.report().tasks
    assert sorted((task.stage, task.shard) for task in tasks if task.shard) == sorted(
        (stage, f"0000{number}") for stage in STAGES for number in range(3)
    )
    (plan,) = [task for task in tasks if not task.shard]
    assert (plan.stage, plan.items_in, plan.details["records"], plan.details["shards"]) == ("ingest", 0, 6, 3)
    assert pipeline.report().results_uri == str(pipeline.folder / "work" / "run" / "results")


def test_several_shards_in_one_task(pipeline: Any) -> None:
    context = pipeline.context(execution__shards=3)
    first, *others = plan_run(context).refs
    run_streaming(context, others)
    run_streaming(context, [first])
    assert list(pipeline.results()) == [str(number) for number in range(6)]
    assert pipeline.report().results == 6


def test_finished_shards_are_not_done_again_in_any_mode(pipeline: Any) -> None:
    context = pipeline.context(execution__shards=3)
    run_mapped(context)
    assert [reports[-1].resumed_items for reports in run_mapped(context)] == [2, 2, 2]
    assert run_streaming(context)[-1].resumed_items == 6
    assert run_pipeline(context)[-1].resumed_items == 6
    report = pipeline.report()
    assert (report.records_in, report.results) == (6, 6), "no report is left of the other modes"
    assert [reports[-1].resumed_items for reports in run_mapped(context)] == [2, 2, 2]
    assert pipeline.report().records_in == 6


def test_rows_are_counted_once(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    from airflow_provider_aiopt.data import source

    count = source.count_rows
    monkeypatch.setattr(
        source, "count_rows", lambda root, entry, spec: counted.append(entry.name) or count(root, entry, spec)
    )
    run_mapped(pipeline.context(execution__shards=3))
    assert counted == ["rows.csv"]


def test_uploads_of_a_manifest_are_planned_and_streamed(pipeline: Any) -> None:
    rows = pipeline.folder / "rows.csv"
    upload = Upload(rows.as_uri(), rows.stat().st_size, local_version(rows.stat()), seen_at=0.0)
    (pipeline.folder / "uploads.jsonl").write_bytes(to_jsonl([upload]))
    context = pipeline.context(
        execution__shards=3,
        source__uri=str(pipeline.folder),
        source__manifest=str(pipeline.folder / "uploads.jsonl"),
    )
    run_mapped(context)
    assert list(pipeline.results(context)) == [str(number) for number in range(6)]


def test_a_plan_made_again_leaves_nothing_of_another_listing(pipeline: Any) -> None:
    pipeline.write_rows((1, 1), ("cat", 1), (2, 2), ("dog", 1))
    run_mapped(pipeline.context(execution__shards=4))
    pipeline.write_rows((1, 1), ("cat", 1))
    run_mapped(pipeline.context(execution__shards=1))
    report = pipeline.report()
    assert (report.records_in, report.results, report.quarantined) == (2, 1, 1)
    assert [bad.id for bad in pipeline.quarantine()] == ["rows.csv#1"]
    assert result_files(pipeline) == ["00000.parquet"]


def test_an_empty_source_has_no_shards(pipeline: Any) -> None:
    pipeline.write_rows()
    assert plan_run(pipeline.context()).refs == ()
    assert run_streaming(pipeline.context(), [])[-1].items_out == 0


@pytest.mark.parametrize(
    ("planned", "ref", "message"),
    [
        (False, ShardRef("ingest", "00000"), "has no plan. Run PlanOperator first"),
        (True, ShardRef("ingest", "00009"), "has no shard ingest/00009: it has 1"),
        (True, ShardRef("inference", "00000"), "has no shard inference/00000"),
    ],
)
def test_a_shard_that_was_not_planned(pipeline: Any, planned: bool, ref: ShardRef, message: str) -> None:
    if planned:
        plan_run(pipeline.context())
    with pytest.raises(ShardError, match=message):
        run_streaming(pipeline.context(), [ref])


def test_an_ingestion_is_no_plan(pipeline: Any) -> None:
    run_pipeline(pipeline.context())
    with pytest.raises(ShardError, match="has no plan"):
        run_streaming(pipeline.context(), [ShardRef("ingest", "00000")])


def test_another_source_than_was_planned(pipeline: Any) -> None:
    plan_run(pipeline.context())
    with pytest.raises(ShardError, match=r"not the listing of .*Clear the plan task"):
        run_streaming(pipeline.context(source__max_record_bytes=999), [ShardRef("ingest", "00000")])


def test_all_tasks_keep_to_the_plan_whatever_the_source_holds_by_then(pipeline: Any) -> None:
    context = pipeline.context(execution__shards=2)
    first, second = plan_run(context).refs
    run_streaming(context, [first])
    pipeline.write_rows(*((number, number + 1) for number in range(9)))
    run_streaming(context, [second])
    assert read_index(context.workspace.stage("ingest")) is not None
    assert list(pipeline.results()) == [str(number) for number in range(6)]


class TestTooManyBadRecords:
    ROWS = ((1, 2), (3, "bad"), (5, 6), (7, "bad"))

    def test_the_task_that_passes_the_limit_withdraws_what_was_published(self, pipeline: Any) -> None:
        pipeline.write_rows(*self.ROWS)
        context = pipeline.context(execution__shards=2, execution__max_bad_fraction=0.25)
        first, second = plan_run(context).refs
        run_streaming(context, [first])
        assert result_files(pipeline) == ["00000.parquet"]
        with pytest.raises(TooManyBadRecordsError, match="2 of 4"):
            run_streaming(context, [second])
        assert result_files(pipeline) == []

    def test_tasks_that_commit_at_once_do_not_miss_each_other(
        self, pipeline: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pipeline.write_rows(*self.ROWS)
        context = pipeline.context(execution__shards=2, execution__max_bad_fraction=0.25)
        refs = plan_run(context).refs
        together = threading.Barrier(2, timeout=20)
        check = StreamSink._check_fraction

        def check_together(sink: StreamSink, bad: int) -> None:
            check(sink, bad)
            if bad:  # both have found that there is room, neither has committed
                together.wait()

        monkeypatch.setattr(StreamSink, "_check_fraction", check_together)
        with ThreadPoolExecutor(2) as executor:
            tasks = [executor.submit(run_streaming, context, [ref]) for ref in refs]
        assert any(isinstance(task.exception(), TooManyBadRecordsError) for task in tasks)
        failed = sum(task.exception() is not None for task in tasks)
        assert len(result_files(pipeline)) <= 2 - failed
