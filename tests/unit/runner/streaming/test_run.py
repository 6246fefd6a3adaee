from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_aiopt.data.parallel import usable_cores
from airflow_provider_aiopt.exceptions import ModelInputError, StorageFullError, TooManyBadRecordsError
from airflow_provider_aiopt.runner.staged import run_pipeline
from airflow_provider_aiopt.runner.streaming import run_streaming
from airflow_provider_aiopt.runner.streaming.sink import StreamSink
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
