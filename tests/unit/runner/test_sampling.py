from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.exceptions import ShardError, SpecError
from airflow_provider_aiopt.runner.sampling import cut_sample, list_sample
from airflow_provider_aiopt.runner.streaming import run_streaming


class EnoughError(Exception):
    """Whatever a listener raises."""


def test_a_sample_is_listed_once_and_streamed_in_any_cut(pipeline: Any) -> None:
    pipeline.write_rows(*((number, number) for number in range(10)))
    listing = pipeline.context()
    assert list_sample(listing, 7) == (7, 10)
    pipeline.write_rows(*((number, number) for number in range(10)))  # nothing is listed again
    for number, (shard_records, records, shards) in enumerate([(3, None, 3), (7, None, 1), (1, 4, 4)]):
        workspace = Workspace.open(str(pipeline.folder / "work" / f"cut-{number}"))
        run = pipeline.context()
        run = type(run)(**{**vars(run), "workspace": workspace})
        refs = cut_sample(listing.workspace, workspace, shard_records=shard_records, records=records)
        assert len(refs) == shards
        reports = run_streaming(run, refs)
        assert reports[-1].items_out == (records or 7)
        assert len(workspace.results.names()) == shards


def test_a_run_tells_each_batch_and_how_long_it_took(pipeline: Any) -> None:
    pipeline.write_rows(*((number, "bad" if number == 4 else number) for number in range(10)))
    told: list[tuple[int, float]] = []
    run = pipeline.context(execution__batch_size=4)
    run = type(run)(**{**vars(run), "on_answers": lambda *batch: told.append(batch)})
    run_streaming(run)
    assert [records for records, _ in told] == [4, 4, 2]
    assert all(0 < seconds < 600 for _, seconds in told)


def test_what_a_listener_raises_ends_the_run(pipeline: Any) -> None:
    def enough(records: int, seconds: float) -> None:
        raise EnoughError

    pipeline.write_rows(*((number, number) for number in range(10)))
    run = pipeline.context(execution__batch_size=2)
    run = type(run)(**{**vars(run), "on_answers": enough})
    with pytest.raises(EnoughError):
        run_streaming(run)


def test_without_a_sample_there_is_nothing_to_cut(pipeline: Any) -> None:
    workspace = pipeline.context().workspace
    with pytest.raises(ShardError, match="list_sample"):
        cut_sample(workspace, workspace, shard_records=1)


def test_a_list_of_uploads_is_no_sample(pipeline: Any) -> None:
    with pytest.raises(SpecError, match=r"--set source\.manifest=null"):
        list_sample(pipeline.context(source__manifest="uploads.jsonl"), 7)
