"""Profiles of whole pipelines: results stay as they are, and no profiler costs a stage more than time."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from components import requires

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.exceptions import ProfilingError
from airflow_provider_aiopt.profiling.deterministic import CProfiler
from airflow_provider_aiopt.profiling.lines import LineStageProfiler
from airflow_provider_aiopt.profiling.onnxruntime_trace import OnnxRuntimeTracer
from airflow_provider_aiopt.profiling.profiler import make_profiler
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.staged import run_pipeline, run_stage
from airflow_provider_aiopt.runner.streaming import run_streaming
from airflow_provider_aiopt.stages.inference import InferenceStage
from airflow_provider_aiopt.telemetry.reports import STAGES, StageReport

KINDS = ("cprofile", "line", "onnxruntime")
FILES = {
    "cprofile": {"profile.prof", "profile.txt", "flamegraph.svg"},
    "line": {"profile.lprof", "profile.txt"},
    "onnxruntime": {"trace.json", "operators.json", "operators.txt"},
}
RUNS = {"staged": run_pipeline, "streaming": run_streaming}


def profiled(pipeline: Any, kind: str, stage: str | None = None, **overrides: Any) -> RunContext:
    """A run of six records in calls of one, under a profiler."""
    requires("line_profiler", "uv pip install --group test")
    context = pipeline.context(**{"execution__batch_size": 1, **overrides})
    return replace(context, profiler=make_profiler(kind, stage))


def accounts(reports: tuple[StageReport, ...]) -> dict[str, Any]:
    return {report.stage: report.details["profile"] for report in reports if "profile" in report.details}


def kept(context: RunContext) -> dict[str, dict[str, int]]:
    """The files of each profile, with their sizes."""
    root = Path(context.workspace.uri) / "profiles"
    return {
        folder.name: {path.name: path.stat().st_size for path in folder.iterdir()}
        for folder in (sorted(root.iterdir()) if root.exists() else [])
    }


@pytest.mark.parametrize("mode", RUNS)
@pytest.mark.parametrize("kind", KINDS)
def test_results_are_the_same_and_the_report_says_where_the_profile_is(
    pipeline: Any, kind: str, mode: str
) -> None:
    plain = pipeline.context(execution__batch_size=1)
    RUNS[mode](plain)
    expected = pipeline.results(plain)
    context = profiled(pipeline, kind)
    context = replace(
        context, workspace=type(context.workspace)(Folder.open(f"{context.workspace.uri}-profiled"))
    )
    found = accounts(RUNS[mode](context))

    assert pipeline.results(context) == expected
    assert len(expected) == 6
    assert threading.getprofile() is None
    names = {stage: f"{stage}-00000" for stage in STAGES} | {"ingest": "ingest-local"}
    if kind == "onnxruntime":
        covered = {"inference": names["inference"] if mode == "staged" else "inference-local"}
    else:
        covered = names if mode == "staged" else {"ingest": "stream-local"}
    assert set(found) == set(covered)
    for stage, name in covered.items():
        account = found[stage]
        assert account["kind"] == kind
        assert account["uri"] == f"{context.workspace.uri}/profiles/{name}"
        assert account["files"] == kept(context)[name]
        assert set(account["files"]) == FILES[kind]
        assert "error" not in account


def test_a_stage_of_its_own_choice(pipeline: Any) -> None:
    context = profiled(pipeline, "cprofile", "preprocess")
    assert set(accounts(run_pipeline(context))) == {"preprocess"}
    assert set(kept(context)) == {"preprocess-00000"}


def test_each_shard_has_a_profile_of_its_own(pipeline: Any) -> None:
    context = profiled(pipeline, "cprofile", "preprocess", execution__shards=2)
    refs = run_stage(context, "ingest").refs
    for ref in refs:
        run_stage(context, "preprocess", [ref])
    assert set(kept(context)) == {"preprocess-00000", "preprocess-00001"}


def test_the_model_is_profiled_by_operator(pipeline: Any) -> None:
    context = profiled(pipeline, "onnxruntime")
    (account,) = accounts(run_pipeline(context)).values()
    folder = Path(context.workspace.uri) / "profiles" / "inference-00000"
    operators = json.loads((folder / "operators.json").read_text())
    assert account["calls"] == 3
    assert [(row["operator"], row["count"]) for row in operators] == [("MatMul (CPU)", 3)]
    assert operators[0]["share"] == 1
    assert "MatMul (CPU)" in (folder / "operators.txt").read_text()


def test_a_retry_replaces_the_profile(pipeline: Any) -> None:
    context = profiled(pipeline, "cprofile", "ingest")
    run_pipeline(context)
    stale = Path(context.workspace.uri) / "profiles" / "ingest-local" / "of-an-earlier-kind.json"
    stale.write_text("{}")
    (account,) = accounts(run_pipeline(context)).values()
    assert kept(context)["ingest-local"] == account["files"]
    assert not stale.exists()
    assert len(pipeline.results(context)) == 6


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (CProfiler, "begin"),
        (CProfiler, "write"),
        (LineStageProfiler, "subjects"),
        (OnnxRuntimeTracer, "runtime"),
    ],
)
def test_a_profiler_that_fails_costs_a_warning_and_no_more(
    pipeline: Any,
    kind: Any,
    method: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(kind, method, fail)
    context = profiled(pipeline, kind.kind, "inference")
    with caplog.at_level(logging.WARNING):
        (account,) = accounts(run_pipeline(context)).values()
    assert account["error"] == "RuntimeError: broken"
    assert f"The {kind.kind} profile of inference failed: broken" in caplog.text
    assert len(pipeline.results(context)) == 6
    assert kept(context) == {}


def test_profiles_that_cannot_be_written_do_not_hold_up_the_commit(pipeline: Any) -> None:
    context = profiled(pipeline, "cprofile", "preprocess")
    root = Path(context.workspace.uri)
    root.mkdir(parents=True)
    (root / "profiles").write_text("in the way")
    (account,) = accounts(run_pipeline(context)).values()
    assert account["error"].startswith("StorageError: ")
    assert len(pipeline.results(context)) == 6


def test_a_stage_that_fails_still_has_a_profile(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(InferenceStage, "process", fail)
    context = profiled(pipeline, "cprofile", "inference")
    with pytest.raises(MemoryError, match="no room"):
        run_pipeline(context)
    report = next(task for task in pipeline.report().tasks if task.stage == "inference")
    assert report.state == "failed"
    assert set(report.details["profile"]["files"]) == FILES["cprofile"]  # type: ignore[index, call-overload]


@pytest.mark.parametrize(
    ("kind", "stage", "run", "message"),
    [
        ("torch", None, run_pipeline, "model.runtime is 'onnxruntime'.* Set profile to 'onnxruntime'"),
        ("onnxruntime", "preprocess", run_pipeline, "only the stage 'inference' runs"),
        ("cprofile", "preprocess", run_streaming, "aiopt run --mode staged"),
        ("syscalls", "preprocess", run_streaming, "in streaming all stages share their threads"),
    ],
)
def test_what_cannot_be_profiled_is_said_before_anything_begins(
    pipeline: Any, kind: str, stage: str | None, run: Any, message: str
) -> None:
    context = profiled(pipeline, kind, stage)
    with pytest.raises(ProfilingError, match=message):
        run(context)
    assert not Path(context.workspace.uri).exists()


_OFF = """
import sys
from dataclasses import replace
from airflow_provider_aiopt.cli.main import main
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.stages.inference import InferenceStage

made = []
create = InferenceStage.__init__
def spy(self, runtime, *rest):
    made.append(type(runtime).__name__)
    create(self, runtime, *rest)
InferenceStage.__init__ = spy
code = main(["run", sys.argv[1], "--json", "--work-dir", sys.argv[2], "--mode", sys.argv[3]])
profilers = {"cProfile", "profile", "line_profiler", "py_spy"}
loaded = sorted(
    name for name in sys.modules
    if name in profilers or name.startswith(("airflow_provider_aiopt.profiling", "torch"))
)
print(code, loaded, made, file=sys.stderr)
"""


@pytest.mark.parametrize("mode", RUNS)
def test_off_imports_and_wraps_nothing(pipeline: Any, mode: str, tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(pipeline.context().spec.to_json())
    command = [sys.executable, "-c", _OFF, str(spec), str(tmp_path / "runs"), mode]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stderr.splitlines()[-1] == "0 [] ['OnnxRuntime']"


def test_a_cost_that_cannot_be_measured_leaves_the_profile(
    pipeline: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("no process to measure it with")

    monkeypatch.setattr(CProfiler, "overhead", fail)
    (account,) = accounts(run_pipeline(profiled(pipeline, "cprofile", "ingest"))).values()
    assert account["overhead"] is None
    assert set(account["files"]) == FILES["cprofile"]
    assert "error" not in account
    assert "no process to measure it with" in caplog.text
