"""What of a stage overlaps: reading ahead, working side by side, writing behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from threads import running_threads

from airflow_provider_aiopt.data.shards import BatchWriter
from airflow_provider_aiopt.exceptions import StorageFullError
from airflow_provider_aiopt.runner import stage as runner_stage
from airflow_provider_aiopt.runner.staged import run_stage
from airflow_provider_aiopt.stages.inference import InferenceStage
from airflow_provider_aiopt.telemetry.reports import StageReport

PATIENCE = 20  # seconds, far more than anything here takes


def leftovers(pipeline: Any) -> list[str]:
    return [path.name for path in pipeline.folder.rglob("*.tmp")]


@pytest.fixture
def prepared(pipeline: Any) -> Any:
    """Two shards of three records, ready for inference."""
    context = pipeline.context(execution__shards=2, execution__batch_size=1)
    refs = run_stage(context, "ingest").refs
    return context, run_stage(context, "preprocess", refs).refs


def test_the_next_shard_is_read_while_this_one_is_worked_on(
    prepared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, refs = prepared
    second_read = threading.Event()
    read, process = runner_stage.read_batches, InferenceStage.process

    def read_and_tell(folder: Any, name: str) -> Iterator[Any]:
        if name == "00001.arrow":
            second_read.set()
        return read(folder, name)

    def wait_for_second(stage: InferenceStage, batch: Any) -> Any:
        assert second_read.wait(PATIENCE), "nothing is read ahead"
        return process(stage, batch)

    monkeypatch.setattr(runner_stage, "read_batches", read_and_tell)
    monkeypatch.setattr(InferenceStage, "process", wait_for_second)
    assert run_stage(context, "inference", refs).report.items_out == 6


def test_what_is_read_ahead_is_bounded_by_bytes(
    pipeline: Any, prepared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, refs = prepared
    context = pipeline.context(execution__shards=2, execution__batch_size=1, execution__max_bytes_in_flight=3)
    read, worked, ahead = [], [], []
    touch, process = runner_stage.touch_pages, InferenceStage.process

    def note_read(batch: Any) -> None:
        read.append(batch)
        touch(batch)

    def note_work(stage: InferenceStage, batch: Any) -> Any:
        ahead.append(len(read) - len(worked))
        worked.append(batch)
        return process(stage, batch)

    monkeypatch.setattr(runner_stage, "touch_pages", note_read)
    monkeypatch.setattr(InferenceStage, "process", note_work)
    run_stage(context, "inference", refs)
    # One in the reader's hand, one ready, one claimed.
    assert max(ahead) <= 3


def test_a_result_is_written_while_the_next_batch_is_worked_on(
    prepared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, refs = prepared
    others_begun = threading.Event()
    begun: list[Any] = []
    write, process = BatchWriter.write, InferenceStage.process

    def wait_for_others(writer: BatchWriter, batch: Any) -> None:
        assert others_begun.wait(PATIENCE), "the work waits for the writing"
        write(writer, batch)

    def note_work(stage: InferenceStage, batch: Any) -> Any:
        begun.append(batch)
        if len(begun) == 6:
            others_begun.set()
        return process(stage, batch)

    monkeypatch.setattr(BatchWriter, "write", wait_for_others)
    monkeypatch.setattr(InferenceStage, "process", note_work)
    assert run_stage(context, "inference", refs).report.items_out == 6


def test_calls_of_the_model_run_side_by_side_and_results_keep_their_order(
    pipeline: Any, prepared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, refs = prepared
    context = pipeline.context(execution__shards=2, execution__batch_size=1, execution__workers=3)
    side_by_side = threading.Barrier(3, timeout=PATIENCE)
    process = InferenceStage.process

    def meet(stage: InferenceStage, batch: Any) -> Any:
        side_by_side.wait()
        return process(stage, batch)

    monkeypatch.setattr(InferenceStage, "process", meet)
    report = run_stage(context, "inference", refs).report
    assert report.details["threads"] == 3
    monkeypatch.undo()
    run_stage(context, "postprocess", [ref._replace(stage="inference") for ref in refs])
    assert list(pipeline.results()) == [str(number) for number in range(6)]


@pytest.mark.parametrize("stage", ["ingest", "preprocess", "inference"])
def test_an_error_of_the_writing_ends_the_stage_and_leaves_nothing(
    pipeline: Any, prepared: Any, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    refs = {"ingest": (), "preprocess": [ref._replace(stage="ingest") for ref in prepared[1]]}
    given = refs.get(stage, prepared[1])
    context = pipeline.context(execution__shards=2, execution__batch_size=1, execution__resume=False)
    written: list[Any] = []
    write = BatchWriter.write

    def fail_in_second_shard(writer: BatchWriter, batch: Any) -> None:
        written.append(batch)
        if len(written) == 5:
            raise StorageFullError(28, "no room")
        write(writer, batch)

    monkeypatch.setattr(BatchWriter, "write", fail_in_second_shard)
    with pytest.raises(StorageFullError):
        run_stage(context, stage, given)

    report = failed(pipeline, stage)
    assert report.items_out == 3, "the first shard is whole"
    assert report.busy_s + report.wait_input_s + report.wait_output_s == pytest.approx(report.wall_s)
    assert not running_threads()
    assert leftovers(pipeline) == []


def failed(pipeline: Any, stage: str) -> StageReport:
    (report,) = [task for task in pipeline.report().tasks if (task.stage, task.state) == (stage, "failed")]
    return report


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_whatever_ends_the_work_ends_its_threads_too(
    pipeline: Any, prepared: Any, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    _, refs = prepared
    context = pipeline.context(execution__shards=2, execution__batch_size=1, execution__workers=3)
    begun: list[Any] = []
    process = InferenceStage.process

    def fail_at_last(stage: InferenceStage, batch: Any) -> Any:
        begun.append(batch)
        if len(begun) == 5:
            raise error
        return process(stage, batch)

    monkeypatch.setattr(InferenceStage, "process", fail_at_last)
    with pytest.raises(error):
        run_stage(context, "inference", refs)
    assert not running_threads()
    assert leftovers(pipeline) == []
    monkeypatch.undo()
    assert run_stage(context, "inference", refs).report.items_out == 6
