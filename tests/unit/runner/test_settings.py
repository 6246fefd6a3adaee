"""What a run's reports hold for the advisor, in either mode."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_aiopt.runner.staged import run_pipeline
from airflow_provider_aiopt.runner.streaming import run_streaming
from airflow_provider_aiopt.telemetry.evidence import StageEvidence

MODES = pytest.mark.parametrize("run", [run_pipeline, run_streaming])


def evidence(run: Any, context: Any) -> dict[str, StageEvidence]:
    return {report.stage: report.evidence for report in run(context)}


@MODES
def test_each_stage_says_which_settings_bear_on_it(run: Any, pipeline: Any) -> None:
    found = evidence(run, pipeline.context(execution__shards=2, source__readers=3, model__threads=1))
    assert found["ingest"].settings == {
        "execution.shards": 2,
        "execution.workers": 1,
        "source.format": "csv",
        "source.readers": 3,
    }
    assert found["preprocess"].settings == {"execution.workers": 1, "preprocess.kind": "tabular"}
    assert found["inference"].settings == {
        "execution.batch_size": 8,
        "execution.workers": 1,
        "model.device": "cpu",
        "model.runtime": "onnxruntime",
        "model.threads": 1,
    }
    assert found["postprocess"].settings == {}  # raw outputs have no labels to list


@MODES
def test_calls_and_columns_are_in_the_evidence(run: Any, pipeline: Any) -> None:
    found = evidence(run, pipeline.context(execution__batch_size=2))
    assert found["inference"].calls == 3
    assert found["inference"].call_s > 0
    assert found["preprocess"].calls == 3
    (column,) = found["preprocess"].columns
    assert (column.dtype, column.row_bytes, column.holds) == ("float32", 8, "uint8")
    assert all(stage.setup_s is not None for stage in found.values())


def test_each_shard_is_committed_once_by_each_stage(pipeline: Any) -> None:
    found = evidence(run_pipeline, pipeline.context(execution__shards=3))
    assert [stage.commits for stage in found.values()] == [3, 3, 3, 3]
    assert all(stage.commit_s > 0 for stage in found.values())


def test_a_stream_commits_results_alone(pipeline: Any) -> None:
    found = evidence(run_streaming, pipeline.context(execution__shards=3))
    assert {name: stage.commits for name, stage in found.items() if stage.commits} == {"postprocess": 3}


@MODES
def test_files_that_are_read_are_timed(run: Any, pipeline: Any) -> None:
    for number in range(3):
        (pipeline.folder / f"{number}.json").write_text(f"[{number}, 1]")
    changes = {"source__format": "files", "source__uri": str(pipeline.folder), "source__pattern": ["*.json"]}
    overrides = {**changes, "source__columns": [], "preprocess": _CUSTOM}
    context = pipeline.context(**overrides)
    found = evidence(run, _allowed(context))
    assert found["ingest"].reads == 3
    assert found["ingest"].read_s > 0


_CUSTOM = {"kind": "custom", "transform": "sample_transforms.Plain", "arguments": {"length": 2}}


def _allowed(context: Any) -> Any:
    from dataclasses import replace

    return replace(context, allowed_callables=("sample_transforms",))
