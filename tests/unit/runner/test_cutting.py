from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.data.folder import resolve_filesystem
from airflow_provider_aiopt.data.manifest import ShardRef
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.cutting import cut_by_size, cut_evenly, cut_source
from airflow_provider_aiopt.runner.index import open_source
from airflow_provider_aiopt.runner.staged import run_pipeline, run_stage
from airflow_provider_aiopt.runner.streaming import run_streaming
from airflow_provider_aiopt.spec import load_spec

SIZES = st.lists(st.integers(0, 1000), max_size=40)


def whole(cuts: Sequence[tuple[int, int]], records: int) -> None:
    """Check that *cuts* are ranges without gaps, none of them empty."""
    assert [start for start, _ in cuts] == [0, *(stop for _, stop in cuts)][: len(cuts)]
    assert all(start < stop for start, stop in cuts)
    assert (cuts[-1][1] if cuts else 0) == records


@given(st.integers(0, 100), st.integers(1, 20))
def test_an_even_cut_is_whole_and_even(records: int, shards: int) -> None:
    cuts = cut_evenly(records, shards)
    whole(cuts, records)
    assert len(cuts) == min(shards, records)
    lengths = {stop - start for start, stop in cuts}
    assert max(lengths, default=0) - min(lengths, default=0) <= 1


@given(SIZES, st.integers(1, 20))
def test_a_cut_by_size_is_whole_and_no_shard_exceeds_its_share_by_more_than_a_record(
    sizes: list[int], shards: int
) -> None:
    cuts = cut_by_size(sizes, shards)
    whole(cuts, len(sizes))
    assert len(cuts) <= shards
    for start, stop in cuts:
        assert sum(sizes[start : stop - 1]) <= sum(sizes) / shards or stop == len(sizes)
        assert sum(sizes[start:stop]) <= sum(sizes) / shards + max(sizes)


def test_equal_sizes_are_cut_evenly() -> None:
    assert cut_by_size([5] * 6, 3) == [(0, 2), (2, 4), (4, 6)]


def test_a_large_record_has_a_shard_of_its_own() -> None:
    assert cut_by_size([1, 1, 98, 1, 1], 4) == [(0, 3), (3, 5)]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.txt").write_text("x" * 100)
    return folder


def context(folder: Path, files: Path, **execution: Any) -> RunContext:
    spec = {"source": {"uri": str(files)}, "model": {"uri": "m"}, "execution": {"workers": 1, **execution}}
    return RunContext(spec=load_spec(spec), workspace=Workspace.open(str(folder / "work")))


def cuts(run: RunContext) -> list[tuple[int, int]]:
    source = open_source(run.workspace.stage("ingest"), run.spec.source, resolver=resolve_filesystem)
    return cut_source(run, source)


@pytest.mark.parametrize(
    ("shard_bytes", "shards"),
    [(1, 6), (100, 6), (101, 6), (150, 4), (200, 3), (599, 2), (600, 1), (10**9, 1)],
)
def test_their_number_follows_from_the_listed_sizes(
    tmp_path: Path, files: Path, shard_bytes: int, shards: int
) -> None:
    assert len(cuts(context(tmp_path, files, shard_bytes=shard_bytes))) == shards


def test_the_deployment_bounds_their_number(tmp_path: Path, files: Path) -> None:
    run = replace(context(tmp_path, files, shard_bytes=1), max_shards=2)
    assert cuts(run) == [(0, 3), (3, 6)]


def test_files_without_sizes_are_one_shard(tmp_path: Path, files: Path) -> None:
    for path in files.iterdir():
        path.write_text("")
    assert cuts(context(tmp_path, files, shard_bytes=1)) == [(0, 6)]


def test_rows_are_cut_evenly_into_as_many_shards_as_their_files_bytes_make(pipeline: Any) -> None:
    size = (pipeline.folder / "rows.csv").stat().st_size
    refs = run_stage(pipeline.context(execution__shard_bytes=-(-size // 3)), "ingest").refs
    assert [pipeline.context().workspace.manifest(ref).rows for ref in refs] == [2, 2, 2]


def test_both_modes_cut_in_the_same_places(pipeline: Any) -> None:
    run = pipeline.context(execution__shard_bytes=8)
    run_streaming(run)
    streamed = [run.workspace.find_manifest(ShardRef("postprocess", f"{number:05d}")) for number in range(4)]
    assert sum(manifest is not None for manifest in streamed) > 1
    assert run_pipeline(run)[-1].resumed_items == 6
