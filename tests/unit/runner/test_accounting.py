from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from airflow_provider_aiopt.data.manifest import ShardRef
from airflow_provider_aiopt.exceptions import AccountingError, TooManyBadRecordsError
from airflow_provider_aiopt.runner.accounting import check_balance
from airflow_provider_aiopt.runner.staged import run_stage
from airflow_provider_aiopt.stages.base import StageOutput
from airflow_provider_aiopt.stages.preprocess import PreprocessStage

BAD = ("cat", 1)
SHARD = ShardRef("preprocess", "00000")


def test_records_are_rows_and_quarantined_ones() -> None:
    check_balance(SHARD, 6, 3, 3)


@pytest.mark.parametrize("rows", [2, 4], ids=["one lost", "one twice"])
def test_any_other_sum_is_a_bug(rows: int) -> None:
    with pytest.raises(AccountingError, match=r"preprocess/00000 began with 5 records.*Nothing was"):
        check_balance(SHARD, 5, rows, 2)


def test_a_stage_that_loses_a_record_commits_nothing(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def lossy(self: PreprocessStage, batch: pa.RecordBatch) -> StageOutput:
        return StageOutput(batch.slice(1))

    monkeypatch.setattr(PreprocessStage, "process", lossy)
    context = pipeline.context()
    refs = run_stage(context, "ingest").refs

    with pytest.raises(AccountingError, match="began with 6 records but has 5 rows and 0"):
        run_stage(context, "preprocess", refs)
    assert context.workspace.find_manifest(SHARD) is None
    assert not context.workspace.stage("preprocess").names()


class TestMaxBadFraction:
    def test_as_many_as_allowed_pass(self, pipeline: Any) -> None:
        pipeline.write_rows((1, 1), BAD, (1, ""), (2, 2))
        pipeline.run(execution__max_bad_fraction=0.5)
        assert len(pipeline.results()) == 2

    @pytest.mark.parametrize(
        ("rows", "stage"),
        [
            ([(1, 1), (1,), (2,)], "ingest"),
            ([(1, 1), BAD, (1, "")], "preprocess"),
            ([(1, 1), ("inf", 1), BAD], "inference"),
        ],
    )
    def test_one_more_fails_the_stage_that_finds_it(
        self, pipeline: Any, rows: list[tuple[Any, Any]], stage: str
    ) -> None:
        pipeline.write_rows(*rows)
        with pytest.raises(
            TooManyBadRecordsError, match=r"2 of 3 records \(66\.7%\).*allows 50\.0%.*quarantine; a retry"
        ):
            pipeline.run(execution__max_bad_fraction=0.5)

        report = pipeline.report()
        assert report.stages[-1].stage == stage
        assert report.results == 0
        assert len(pipeline.quarantine()) == 2, "the reasons are there"

    def test_shards_count_together(self, pipeline: Any) -> None:
        """Each mapped task alone stays below the limit."""
        pipeline.write_rows((1, 1), (2, 2), BAD, (3, 3), (4, 4), BAD)
        context = pipeline.context(execution__shards=2, execution__max_bad_fraction=0.3)
        refs = run_stage(context, "ingest").refs
        run_stage(context, "preprocess", refs[:1])
        with pytest.raises(TooManyBadRecordsError, match="2 of 6"):
            run_stage(context, "preprocess", refs[1:])

    def test_a_run_that_was_mended_by_other_data_is_not_failed_by_its_past(self, pipeline: Any) -> None:
        pipeline.write_rows((1, 1), BAD)
        with pytest.raises(TooManyBadRecordsError):
            pipeline.run(execution__max_bad_fraction=0.1)
        pipeline.write_rows((1, 1), (22, 2))
        pipeline.run(execution__max_bad_fraction=0.1)
        assert len(pipeline.results()) == 2

    def test_a_run_that_was_mended_by_other_settings_is_not_failed_by_its_past(self, pipeline: Any) -> None:
        """Scaled down, no value overflows; the mapped tasks see each other's old shards meanwhile."""
        pipeline.write_model(np.full((2, 2), 3e37))
        pipeline.write_rows((10, 10), (20, 20))
        limits = {"execution__shards": 2, "execution__max_bad_fraction": 0.1}
        with pytest.raises(TooManyBadRecordsError):
            pipeline.run(**limits)

        context = pipeline.context(**limits, preprocess={"kind": "tabular", "std": [1000, 1000]})
        refs = run_stage(context, "ingest").refs
        for stage in ("preprocess", "inference"):
            refs = [made for ref in refs for made in run_stage(context, stage, [ref]).refs]
        run_stage(context, "postprocess", refs)
        assert len(pipeline.results()) == 2

    def test_nothing_is_published_where_too_many_are_bad(self, pipeline: Any) -> None:
        pipeline.write_rows((1, 1), BAD)
        context = pipeline.context()
        refs = run_stage(context, "ingest").refs
        for stage in ("preprocess", "inference"):
            refs = run_stage(context, stage, refs).refs
        with pytest.raises(TooManyBadRecordsError):
            run_stage(pipeline.context(execution__max_bad_fraction=0.1), "postprocess", refs)
        assert pipeline.results() == {}
