from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_aiopt.data.parallel import usable_cores
from airflow_provider_aiopt.exceptions import ModelInputError, StorageFullError, TooManyBadRecordsError
from airflow_provider_aiopt.runner import staged
from airflow_provider_aiopt.runner.staged import run_pipeline
from airflow_provider_aiopt.runner.streaming import engine, run_streaming
from airflow_provider_aiopt.runner.streaming.sink import StreamSink
from airflow_provider_aiopt.runtimes.loading import LoadedModel
from airflow_provider_aiopt.stages.inference import InferenceStage
from airflow_provider_aiopt.telemetry.reports import STAGES

Make = Callable[[Path], Any]


def result_files(pipeline: Any) -> list[Path]:
    return sorted((pipeline.folder / "work" / "run" / "results").glob("*"))


@pytest.mark.parametrize(("workers", "threads"), [(None, usable_cores() + 1), (3, 3)])
def test_one_thread_more_than_cores_works_unless_the_spec_says_how_many(
    make_pipeline: Make, tmp_path: Path, workers: int | None, threads: int
) -> None:
    pipeline = make_pipeline(tmp_path)
    pipeline.write_rows((1, 2))
    _, *reports = run_streaming(pipeline.context(execution__workers=workers))
    assert [report.details["threads"] for report in reports] == [threads] * 3


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    numbers=st.lists(
        st.tuples(st.integers(-999, 999), st.one_of(st.integers(-999, 999), st.just("bad"))),
        min_size=1,
        max_size=40,
    ),
    options=st.fixed_dictionaries(
        {
            "execution__shards": st.integers(1, 7),
            "execution__batch_size": st.integers(1, 9) | st.just("auto"),
            "execution__workers": st.none() | st.integers(1, 4),
        }
    ),
)
def test_streaming_staged_and_a_plain_loop_agree(
    make_pipeline: Make,
    tmp_path_factory: pytest.TempPathFactory,
    numbers: list[tuple[int, int | str]],
    options: dict[str, Any],
) -> None:
    found = []
    for run in (run_streaming, run_pipeline):
        pipeline = make_pipeline(tmp_path_factory.mktemp("run"))
        pipeline.write_rows(*numbers)
        run(pipeline.context(**options))
        found.append((pipeline.results(), {bad.id: bad.error_class for bad in pipeline.quarantine()}))
    expected = {
        str(index): [a + 100.0 * b, 10.0 * a + 1000.0 * b]
        for index, (a, b) in enumerate(numbers)
        if not isinstance(b, str)
    }
    assert found[0] == found[1]
    assert found[0][0] == expected
    assert len(found[0][1]) == len(numbers) - len(expected)


def test_reports_of_all_stages_add_up(pipeline: Any) -> None:
    pipeline.write_rows((1, 2), (3, "bad"), (5, 6))
    reports = run_streaming(pipeline.context())
    assert [report.stage for report in reports] == list(STAGES)
    assert [report.items_in for report in reports] == [3, 3, 2, 2]
    assert [report.items_out for report in reports] == [3, 2, 2, 2]
    for report in reports:
        whole = report.busy_s + report.wait_input_s + report.wait_output_s
        assert whole == pytest.approx(report.wall_s, rel=0.02)
    run = pipeline.report()
    assert (run.records_in, run.results, run.quarantined) == (3, 2, 1)
    assert run.overlapped


def test_reasons_for_quarantine_are_counted(pipeline: Any) -> None:
    pipeline.write_rows((1, 2), (3, "bad"), (4, "bad"))
    ingest, preprocess, *_ = run_streaming(pipeline.context(execution__shards=2))
    (reason,) = {bad.error_class for bad in pipeline.quarantine()}
    assert preprocess.details["quarantined_by"] == {reason: 2}
    assert "quarantined_by" not in ingest.details


def test_as_many_bytes_are_read_as_in_stages(
    make_pipeline: Make, tmp_path_factory: pytest.TempPathFactory
) -> None:
    read = []
    for run in (run_streaming, run_pipeline):
        pipeline = make_pipeline(tmp_path_factory.mktemp("run"))
        pipeline.write_rows((1, 2), (3, 4))
        read.append(run(pipeline.context())[0].bytes_in)
    assert read[0] == read[1] > 0


def test_how_batches_were_cut_is_in_the_report(pipeline: Any) -> None:
    inference = run_streaming(pipeline.context(execution__batch_size=4))[2]
    assert inference.details["batching"] == {
        "policy": "fixed",
        "size": 4,
        "calls": {"2": 1, "4": 1},
        "padded_rows": 0,
        "halvings": [],
    }


def test_nothing_is_written_between_the_stages(pipeline: Any) -> None:
    run_streaming(pipeline.context(execution__shards=2))
    assert not list((pipeline.folder / "work").rglob("*.arrow"))
    assert [path.name for path in result_files(pipeline)] == ["00000.parquet", "00001.parquet"]


def test_finished_shards_are_not_done_again_in_either_mode(pipeline: Any) -> None:
    context = pipeline.context(execution__shards=3)
    run_streaming(context)
    before = {path: path.stat().st_mtime_ns for path in result_files(pipeline)}
    reports = run_streaming(context)
    assert [report.resumed_items for report in reports] == [6, 6, 6, 6]
    staged = run_pipeline(context)
    assert staged[-1].resumed_items == 6
    assert {path: path.stat().st_mtime_ns for path in result_files(pipeline)} == before


def test_a_failure_half_way_leaves_whole_shards_and_a_second_run_goes_on(
    pipeline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = pipeline.context(execution__shards=3)
    take = StreamSink.take

    def fail_in_second_shard(sink: StreamSink, item: Any) -> None:
        if item.shard == "00001":
            raise StorageFullError(28, "no room")
        take(sink, item)

    monkeypatch.setattr(StreamSink, "take", fail_in_second_shard)
    with pytest.raises(StorageFullError):
        run_streaming(context)
    assert [path.name for path in result_files(pipeline)] == ["00000.parquet"]
    monkeypatch.undo()
    reports = run_streaming(context)
    assert reports[-1].resumed_items == 2
    assert sorted(pipeline.results()) == [str(number) for number in range(6)]


def test_a_wrong_model_fails_with_its_own_error_and_no_thread_is_left(pipeline: Any) -> None:
    pipeline.write_model(np.ones((3, 2)))
    before = threading.active_count()
    with pytest.raises(ModelInputError, match="takes"):
        run_streaming(pipeline.context(execution__workers=4))
    assert threading.active_count() == before
    assert not result_files(pipeline)
    assert {report.state for report in pipeline.report().tasks} == {"failed"}


def test_too_many_bad_records_withdraw_what_was_published(pipeline: Any) -> None:
    pipeline.write_rows((1, 2), (3, 4), (5, "bad"), (7, "bad"))
    with pytest.raises(TooManyBadRecordsError, match="2 of 4"):
        run_streaming(pipeline.context(execution__shards=2, execution__max_bad_fraction=0.25))
    assert not result_files(pipeline)


def test_an_empty_source_is_an_empty_run(pipeline: Any) -> None:
    pipeline.write_rows()
    reports = run_streaming(pipeline.context())
    assert [report.items_in for report in reports] == [0, 0, 0, 0]
    assert not result_files(pipeline)


def test_fewer_shards_the_second_time_leave_no_stale_results(pipeline: Any) -> None:
    run_streaming(pipeline.context(execution__shards=3))
    run_streaming(pipeline.context(execution__shards=2))
    assert [path.name for path in result_files(pipeline)] == ["00000.parquet", "00001.parquet"]
    assert len(pipeline.results()) == 6


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    numbers=st.lists(
        st.tuples(st.integers(-999, 999), st.one_of(st.integers(-999, 999), st.just("bad"))), max_size=40
    ),
    options=st.fixed_dictionaries(
        {
            "execution__shards": st.integers(1, 5),
            "execution__batch_size": st.integers(1, 9),
            "execution__workers": st.integers(1, 4),
        }
    ),
)
def test_without_order_each_shard_has_the_same_results(
    make_pipeline: Make,
    tmp_path_factory: pytest.TempPathFactory,
    numbers: list[tuple[int, int | str]],
    options: dict[str, Any],
) -> None:
    found = []
    for keep_order in (True, False):
        pipeline = make_pipeline(tmp_path_factory.mktemp("run"))
        pipeline.write_rows(*numbers)
        run_streaming(pipeline.context(**options, execution__keep_order=keep_order))
        shards = {
            path.name: sorted((row["id"].partition("#")[2], row["output"]) for row in table(path))
            for path in result_files(pipeline)
        }
        found.append((shards, {bad.id: bad.error_class for bad in pipeline.quarantine()}))
    assert found[0] == found[1]


def table(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path, partitioning=None).to_pylist()


def test_without_order_a_slow_batch_holds_no_other_of_its_shard_up(
    pipeline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = threading.Event()
    process, take = InferenceStage.process, StreamSink.take

    def first_waits(stage: InferenceStage, batch: Any) -> Any:
        if batch.column("id")[0].as_py().endswith("#0"):
            assert written.wait(20)
        return process(stage, batch)

    def tell(sink: StreamSink, item: Any) -> None:
        take(sink, item)
        written.set()

    monkeypatch.setattr(InferenceStage, "process", first_waits)
    monkeypatch.setattr(StreamSink, "take", tell)
    options = {"execution__batch_size": 1, "execution__workers": 2, "execution__shards": 2}
    run_streaming(pipeline.context(**options, execution__keep_order=False))
    assert next(iter(pipeline.results())) != "0"
    assert sorted(pipeline.results()) == [str(number) for number in range(6)]


class OnDevice:
    """A runtime that says that it runs on a device."""

    on_device = True

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runtime, name)

    def run(self, feeds: Any) -> Any:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return self._runtime.run(feeds)
        finally:
            with self._lock:
                self.at_once -= 1


@pytest.mark.parametrize("keep_order", [True, False])
@pytest.mark.parametrize(
    ("run", "module"), [(run_streaming, engine), (run_pipeline, staged)], ids=["streaming", "staged"]
)
def test_a_device_is_given_a_bounded_number_of_batches_and_its_use_is_reported(
    pipeline: Any, monkeypatch: pytest.MonkeyPatch, run: Any, module: Any, keep_order: bool
) -> None:
    load, devices = module.load_pipeline_model, []

    def load_on_device(*arguments: Any, **options: Any) -> LoadedModel:
        model = load(*arguments, **options)
        devices.append(OnDevice(model.runtime))
        return LoadedModel(model.files, devices[0])

    monkeypatch.setattr(module, "load_pipeline_model", load_on_device)
    options = {"execution__batch_size": 1, "execution__workers": 4, "execution__shards": 2}
    inference = run(pipeline.context(**options, execution__keep_order=keep_order))[2]
    assert 0 < inference.details["device_busy"] <= 1
    assert devices[0].most_at_once <= 2
    assert sorted(pipeline.results()) == [str(number) for number in range(6)]


def test_the_cores_are_no_device(pipeline: Any) -> None:
    assert "device_busy" not in run_streaming(pipeline.context())[2].details


class Seen:
    """Keeps what a run tells of its progress."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.done: Counter[str] = Counter()
        self._lock = threading.Lock()

    def expect(self, stage: str, records: int) -> None:
        with self._lock:
            self.totals[stage] = records

    def advance(self, stage: str, records: int) -> None:
        with self._lock:
            self.done[stage] += records


@pytest.mark.parametrize("run", [run_streaming, run_pipeline])
def test_all_records_are_done_at_the_end_also_of_a_run_that_goes_on(pipeline: Any, run: Any) -> None:
    pipeline.write_rows((1, 2), (3, "bad"), (5, 6), (7, 8))
    first, again = Seen(), Seen()
    for seen in (first, again):
        run(replace(pipeline.context(execution__shards=2), progress=seen))
        assert seen.totals == seen.done
    assert first.totals == {"ingest": 4, "preprocess": 4, "inference": 3, "postprocess": 3}
    assert (again.totals["ingest"], again.totals["postprocess"]) == (4, 3)
