from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_aiopt.data.manifest import ShardRef
from airflow_provider_aiopt.exceptions import (
    AioptError,
    ModelInputError,
    ModelNotFoundError,
    ShardError,
    SourceError,
    SpecError,
)
from airflow_provider_aiopt.runner.staged import run_pipeline, run_stage
from airflow_provider_aiopt.runner.streaming import run_streaming
from airflow_provider_aiopt.telemetry.catalogue import STAGE_DURATION, STAGE_FAILURES
from airflow_provider_aiopt.telemetry.reports import STAGES
from airflow_provider_aiopt.telemetry.run_report import load_stage_reports

NUMBERS = st.integers(-1000, 1000)
GOOD = st.tuples(NUMBERS, NUMBERS)
BAD = st.sampled_from([("cat", 1), (1, ""), ("inf", 1), ("1e39", 0)])


def reference(rows: list[tuple[Any, Any]], weights: np.ndarray) -> dict[str, list[float]]:
    """The pipeline as one loop."""
    results = {}
    for number, row in enumerate(rows):
        try:
            vector = np.array([float(value) for value in row])
        except ValueError:
            continue
        if np.isfinite(vector).all() and (np.abs(vector) < 1e38).all():
            results[str(number)] = (vector @ weights).tolist()
    return results


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.one_of(GOOD, GOOD, GOOD, BAD), max_size=12),
    shards=st.integers(1, 5),
    batch_size=st.integers(1, 6),
    workers=st.integers(1, 3),
)
def test_the_stages_give_what_a_plain_loop_gives(
    make_pipeline: Callable[[Path], Any],
    rows: list[tuple[Any, Any]],
    shards: int,
    batch_size: int,
    workers: int,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pipeline = make_pipeline(Path(folder))
        pipeline.write_rows(*rows)
        reports = pipeline.run(
            execution__shards=shards, execution__batch_size=batch_size, execution__workers=workers
        )

        expected = reference(rows, np.array([[1, 10], [100, 1000]]))
        assert pipeline.results() == expected
        assert list(pipeline.results()) == list(expected), "in the order of the source"
        assert len(pipeline.quarantine()) == len(rows) - len(expected)
        report = pipeline.report()
        assert (report.records_in, report.results, report.quarantined) == (
            len(rows),
            len(expected),
            len(rows) - len(expected),
        )
        for stage in reports:
            assert stage.busy_s + stage.wait_input_s + stage.wait_output_s == pytest.approx(stage.wall_s)
            assert max(stage.batch_sizes, default=0) <= batch_size


def test_the_shards_hold_equal_shares_in_order(pipeline: Any) -> None:
    context = pipeline.context(execution__shards=4)
    outcome = run_stage(context, "ingest")
    rows = [context.workspace.manifest(ref).rows for ref in outcome.refs]
    assert [str(ref) for ref in outcome.refs] == [f"ingest/0000{number}" for number in range(4)]
    assert sorted(rows) == [1, 1, 2, 2]


def test_there_are_no_more_shards_than_records(pipeline: Any) -> None:
    assert len(run_stage(pipeline.context(execution__shards=50), "ingest").refs) == 6


def test_an_empty_source_is_an_empty_run(pipeline: Any) -> None:
    pipeline.write_rows()
    pipeline.run()
    report = pipeline.report()
    assert (report.records_in, report.results, report.results_uri) == (
        0,
        0,
        str(pipeline.folder / "work" / "run" / "results"),
    )


def test_stages_may_be_run_shard_by_shard_in_any_order(pipeline: Any) -> None:
    context = pipeline.context(execution__shards=3)
    refs = run_stage(context, "ingest").refs
    for stage in STAGES[1:]:
        refs = [run_stage(context, stage, [ref]).refs[0] for ref in reversed(refs)][::-1]
    shard_by_shard = pipeline.results()

    assert list(shard_by_shard) == [str(number) for number in range(6)]
    pipeline.run(execution__shards=3, execution__resume=False)
    assert pipeline.results() == shard_by_shard


@pytest.mark.parametrize(
    ("stage", "ref", "message"),
    [
        ("preprocess", ShardRef("ingest", "00007"), "no finished shard ingest/00007"),
        ("inference", ShardRef("preprocess", "00000"), "no finished shard preprocess/00000.*Run the stage"),
    ],
)
def test_a_shard_that_is_not_there_is_named(pipeline: Any, stage: str, ref: ShardRef, message: str) -> None:
    run_stage(pipeline.context(), "ingest")
    with pytest.raises(ShardError, match=message):
        run_stage(pipeline.context(), stage, [ref])


@pytest.mark.parametrize("run", [run_pipeline, run_streaming])
def test_a_shard_without_results_has_the_columns_of_the_others(pipeline: Any, run: Any) -> None:
    pipeline.write_rows(("bad", 1), (1, 2))
    context = pipeline.context(execution__shards=2)
    run(context)

    schemas = [pq.read_schema(path) for path in sorted((pipeline.folder / "work/run/results").iterdir())]
    assert schemas[0] == schemas[1]
    assert schemas[0].names == ["id", "uri", "sha256", "output"]


def test_a_sink_gets_a_partition_per_run(pipeline: Any) -> None:
    sink = pipeline.folder / "sink"
    pipeline.run(sink__uri=str(sink), sink__compression="snappy")

    partition = "pipeline=pipeline/run_id=run"
    assert pipeline.report().results_uri == f"{sink}/{partition}"
    assert sorted(path.name for path in (sink / partition).iterdir()) == ["00000.parquet"]
    assert len(pipeline.results(pipeline.context(sink__uri=str(sink)))) == 6


class TestReports:
    def test_a_stage_leaves_its_report_and_sends_its_metrics(self, pipeline: Any) -> None:
        reports = pipeline.run(execution__batch_size=4)

        assert [report.stage for report in reports] == list(STAGES)
        assert load_stage_reports(pipeline.context().workspace.root) == tuple(
            sorted(reports, key=lambda report: report.stage)
        )
        durations = [sent.tags["stage"] for sent in pipeline.metrics.sent if sent.metric is STAGE_DURATION]
        assert durations == list(STAGES)

    def test_it_says_what_loaded_and_how_the_work_was_cut(self, pipeline: Any) -> None:
        ingest, preprocess, inference, postprocess = pipeline.run(execution__batch_size=4)

        assert inference.runtime is not None
        assert inference.runtime.endswith("CPUExecutionProvider")
        assert inference.batch_sizes == {2: 1, 4: 1}
        assert 0 < inference.model_load_s <= inference.busy_s
        assert len(str(inference.details["model_sha256"])) == 64
        assert postprocess.details["results_uri"] == str(pipeline.folder / "work" / "run" / "results")
        assert ingest.bytes_in > 0
        assert (preprocess.bytes_in, preprocess.runtime) == (ingest.bytes_out, None)

    @pytest.mark.parametrize(
        ("overrides", "stage", "error"),
        [
            ({"source__uri": "/nowhere"}, "ingest", SourceError),
            ({"model__uri": "/nowhere.onnx"}, "preprocess", ModelNotFoundError),
            ({"postprocess": {"kind": "raw", "output": "none"}}, "inference", AioptError),
        ],
    )
    def test_a_stage_that_fails_reports_too(
        self, pipeline: Any, overrides: dict[str, Any], stage: str, error: type[Exception]
    ) -> None:
        with pytest.raises(error) as caught:
            pipeline.run(**overrides)

        report = pipeline.report()
        assert [(item.stage, item.failed) for item in report.stages][-1] == (stage, 1)
        failed = next(task for task in report.tasks if task.stage == stage)
        assert failed.error == f"{type(caught.value).__name__}: {caught.value}"[:1000]
        assert (report.results, report.results_uri) == (0, None)
        failures = {
            sent.tags["stage"]: sent.value for sent in pipeline.metrics.sent if sent.metric is STAGE_FAILURES
        }
        assert failures[stage] == 1

    def test_it_counts_the_reasons_for_quarantine(self, pipeline: Any) -> None:
        pipeline.write_rows((1, 2), (3, "bad"), (4, "bad"), (5, 6))
        ingest, preprocess, *_ = pipeline.run(execution__shards=2)

        (reason,) = {bad.error_class for bad in pipeline.quarantine()}
        assert preprocess.details["quarantined_by"] == {reason: 2}
        assert "quarantined_by" not in ingest.details

        *_, resumed = pipeline.run(execution__shards=2)[:2]
        assert (resumed.quarantined, "quarantined_by" in resumed.details) == (2, False)

    def test_a_report_that_cannot_be_written_does_not_hide_how_the_stage_ended(
        self, pipeline: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        work = pipeline.folder / "work" / "run"
        work.mkdir(parents=True)
        (work / "reports").write_text("in the way")

        with pytest.raises(SourceError, match="nowhere"):
            pipeline.run(source__uri="/nowhere")
        assert "The report of stage ingest was not written" in caplog.text

    def test_a_spec_without_preprocessing_for_a_bare_model_fails_before_work(self, pipeline: Any) -> None:
        with pytest.raises(SpecError, match="preprocess: missing"):
            pipeline.run(preprocess=None)


class TestResume:
    def resumed(self, pipeline: Any, **overrides: Any) -> list[str]:
        """Run again and return the stages that found their work done."""
        return [report.stage for report in pipeline.run(**overrides) if report.resumed_items == 6]

    def test_finished_shards_are_left_alone(self, pipeline: Any) -> None:
        pipeline.run(execution__shards=2)
        before, results = pipeline.files(), pipeline.results()

        assert self.resumed(pipeline, execution__shards=2) == list(STAGES)

        after = pipeline.files()
        changed = {name for name in after if after[name] != before.get(name)}
        assert changed == {"ingest/index.json", "ingest/listing.parquet"}
        assert pipeline.results() == results
        assert pipeline.report().tasks[2].runtime is None, "the model was not loaded"

    def test_it_may_be_turned_off(self, pipeline: Any) -> None:
        pipeline.run()
        assert self.resumed(pipeline, execution__resume=False) == []

    @pytest.mark.parametrize(
        ("overrides", "kept"),
        [
            ({"sink__compression": "gzip"}, ["ingest", "preprocess", "inference"]),
            ({"postprocess": {"kind": "raw", "output": "y"}}, ["ingest", "preprocess"]),
            ({"model__device": "auto"}, ["ingest", "preprocess"]),
            ({"preprocess": {"kind": "tabular", "mean": [1, 1]}}, ["ingest"]),
            ({"source__max_record_bytes": 999}, []),
            ({"model__threads": 1, "execution__batch_size": 2, "execution__workers": 2}, list(STAGES)),
        ],
        ids=["compression", "output", "device", "mean", "size limit", "what changes no result"],
    )
    def test_a_change_is_done_from_where_it_matters(
        self, pipeline: Any, overrides: dict[str, Any], kept: list[str]
    ) -> None:
        pipeline.run()
        assert self.resumed(pipeline, **overrides) == kept

    def test_another_model_under_the_old_name(self, pipeline: Any) -> None:
        pipeline.run()
        pipeline.write_model(np.eye(2))
        assert self.resumed(pipeline) == ["ingest", "preprocess"]
        assert pipeline.results()["1"] == [1, 2]

    def test_a_source_that_changed_is_read_again(self, pipeline: Any) -> None:
        pipeline.run(execution__shards=2)
        pipeline.write_rows((7, 7), (8, 8), (9, 9))
        assert self.resumed(pipeline, execution__shards=2) == []
        assert pipeline.results() == {"0": [707, 7070], "1": [808, 8080], "2": [909, 9090]}

    @pytest.mark.parametrize(
        "lost", ["preprocess/00000.arrow", "inference/00000.arrow", "results/00000.parquet"]
    )
    def test_a_file_that_was_lost_is_made_again(self, pipeline: Any, lost: str) -> None:
        pipeline.run()
        results = pipeline.results()
        (pipeline.folder / "work" / "run" / lost).unlink()

        done = self.resumed(pipeline)

        assert lost.partition("/")[0].replace("results", "postprocess") not in done
        assert pipeline.results() == results

    def test_a_cut_file_is_named_with_the_stage_to_clear(self, pipeline: Any) -> None:
        pipeline.run()
        path = pipeline.folder / "work" / "run" / "preprocess" / "00000.arrow"
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(ShardError, match=r"preprocess/00000\.arrow is no whole shard file.*clear the"):
            pipeline.run(execution__batch_size=3, postprocess={"kind": "raw", "output": "y"})


class TestASecondRunInTheSameWorkspace:
    def test_fewer_shards_leave_nothing_behind_that_counts(self, pipeline: Any) -> None:
        pipeline.write_rows((1, 1), ("cat", 1), (2, 2), ("dog", 1))
        pipeline.run(execution__shards=4)
        pipeline.run(execution__shards=1)

        report = pipeline.report()
        assert (report.records_in, report.results, report.quarantined) == (4, 2, 2)
        assert [bad.id for bad in pipeline.quarantine()] == ["rows.csv#1", "rows.csv#3"]
        assert list(pipeline.results()) == ["0", "2"]

    def test_more_shards(self, pipeline: Any) -> None:
        pipeline.write_rows((1, 1), ("cat", 1), (2, 2))
        pipeline.run(execution__shards=1)
        pipeline.run(execution__shards=3)
        report = pipeline.report()
        assert (report.records_in, report.results, report.quarantined) == (3, 2, 1)

    def test_records_that_were_mended_leave_quarantine(self, pipeline: Any) -> None:
        pipeline.write_rows((1, 1), ("cat", 1))
        pipeline.run()
        pipeline.write_rows((1, 1), (22, 1))
        pipeline.run()
        assert pipeline.quarantine() == []
        assert pipeline.report().results == 2

    @pytest.mark.parametrize("into_sink", [False, True])
    def test_an_empty_source_leaves_nothing_of_the_earlier_run_though_no_stage_follows(
        self, pipeline: Any, tmp_path: Path, into_sink: bool
    ) -> None:
        options = {"sink__uri": str(tmp_path / "sink")} if into_sink else {}
        pipeline.write_rows((1, 1), ("cat", 1))
        pipeline.run(**options)
        context = pipeline.context(**options)
        assert list(pipeline.results(context)) == ["0"]
        pipeline.write_rows()

        assert run_stage(context, "ingest").refs == ()

        assert pipeline.results(context) == {}
        assert pipeline.quarantine() == []
        report = pipeline.report()
        assert (report.records_in, report.results, report.quarantined) == (0, 0, 0)

    def test_ingestion_leaves_results_to_postprocessing_where_there_is_any(self, pipeline: Any) -> None:
        pipeline.run(execution__shards=2)
        pipeline.write_rows((7, 7))
        run_stage(pipeline.context(execution__shards=2), "ingest")
        assert len(pipeline.results()) == 6


def test_what_auto_found_is_in_the_report(pipeline: Any) -> None:
    inference = pipeline.run(execution__batch_size="auto", execution__shards=2)[2]
    batching = inference.details["batching"]
    assert batching["auto"]["chosen"] == batching["size"]
    assert set(batching["auto"]["rows_per_s"]) <= {"1", "2", "4"}
    assert sum(int(rows) * calls for rows, calls in batching["calls"].items()) == 6


def test_how_batches_were_cut_is_in_the_report_of_a_run_that_failed_too(pipeline: Any) -> None:
    pipeline.write_model(np.ones((3, 2)))
    with pytest.raises(ModelInputError):
        pipeline.run()
    (report,) = [report for report in pipeline.report().tasks if report.stage == "inference"]
    assert report.details["batching"]["calls"] == {}
