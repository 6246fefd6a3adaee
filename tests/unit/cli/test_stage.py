from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import linear_model

from airflow_provider_aiopt.cli import stage
from airflow_provider_aiopt.cli.main import main
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.runner.stage_result import StageResult
from airflow_provider_aiopt.telemetry.reports import STAGES
from airflow_provider_aiopt.telemetry.run_report import load_run_report
from airflow_provider_aiopt.telemetry.testing import make_task


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Three rows times a matrix, in two shards; the working directory is empty but for them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(stage.SPEC_VARIABLE, raising=False)
    monkeypatch.setattr(stage, "XCOM_RESULT", str(tmp_path / "xcom" / "return.json"))
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{number},1\n" for number in range(3)))
    linear_model(tmp_path / "model.onnx", np.array([[1, 0], [0, 1]]))
    return {
        "name": "rows",
        "source": {"uri": str(tmp_path / "rows.csv"), "format": "csv", "columns": ["a", "b"]},
        "preprocess": {"kind": "tabular"},
        "model": {"uri": str(tmp_path / "model.onnx")},
        "postprocess": {"kind": "raw"},
        "execution": {"workers": 1, "shards": 2},
    }


def call(work: str, spec: dict[str, Any] | str | None, *arguments: str) -> int:
    given = json.dumps(spec) if isinstance(spec, dict) else spec
    named = [] if given is None else ["--spec", given]
    return main(["stage", work, *named, "--workspace", "runs/a/run", "--run-id", "run", *arguments])


def result(
    capsys: pytest.CaptureFixture[str], work: str, spec: dict[str, Any], *arguments: str
) -> StageResult:
    assert call(work, spec, "--json", *arguments) == 0
    return StageResult.from_json(capsys.readouterr().out, "standard output")


def shards(references: tuple[str, ...]) -> list[str]:
    return [item for reference in references for item in ("--shard", reference)]


def test_four_stages_one_after_the_other_make_a_run(
    spec: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    references: tuple[str, ...] = ()
    for name in STAGES:
        found = result(capsys, name, spec, *shards(references))
        assert [report.stage for report in found.stage_reports] == [name]
        references = found.references
    assert (found.results, found.references) == (3, ())
    assert found.results_uri == "runs/a/run/results"
    report = load_run_report(Workspace.open("runs/a/run").root)
    assert (report.records_in, report.results) == (3, 3)


def test_a_plan_and_a_pipeline_for_each_shard(
    spec: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    plan = result(capsys, "plan", spec)
    assert plan.references == ("ingest/00000", "ingest/00001")
    made = [result(capsys, "pipeline", spec, "--shard", reference) for reference in plan.references]
    assert sum(found.results or 0 for found in made) == 3
    assert [report.stage for report in made[0].stage_reports] == list(STAGES)


def test_a_pipeline_lists_the_source_itself(spec: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert call("pipeline", spec) == 0
    assert capsys.readouterr().out == "3 results in runs/a/run/results\n"


def test_references_are_printed_for_people(spec: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert call("ingest", spec) == 0
    assert capsys.readouterr().out == "ingest/00000\ningest/00001\n"


def test_the_report_knows_the_airflow_task(spec: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    named = ["--dag-id", "dag", "--task-id", "infer", "--map-index", "3", "--try-number", "2"]
    found = result(capsys, "ingest", spec, *named)
    assert found.stage_reports[0].task == make_task("infer", 3, 2)


def test_the_result_goes_into_a_file_and_by_itself_to_where_airflow_looks(
    spec: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("ingest", spec, "--result", "elsewhere/result.json") == 0
    assert not Path("xcom").exists()
    Path("xcom").mkdir()
    assert call("ingest", spec) == 0
    for file in ("elsewhere/result.json", "xcom/return.json"):
        found = StageResult.from_json(Path(file).read_bytes(), file)
        assert found.references == ("ingest/00000", "ingest/00001")
        assert Path(file).stat().st_size < 4096


@pytest.mark.parametrize("how", ["yaml", "stdin", "variable"])
def test_a_spec_comes_as_a_file_by_standard_input_or_by_a_variable(
    spec: dict[str, Any], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "yaml":
        Path("spec.yaml").write_text(json.dumps(spec))
        assert call("ingest", "spec.yaml") == 0
    elif how == "stdin":
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(spec)))
        assert call("ingest", "-") == 0
    else:
        monkeypatch.setenv(stage.SPEC_VARIABLE, json.dumps(spec))
        assert call("ingest", None) == 0


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("ingest", None), "no spec"),
        (("plan", "{}", "--shard", "ingest/00000"), "takes no --shard"),
        (("inference", "{}"), "needs at least one --shard"),
    ],
)
def test_arguments_that_do_not_go_together(
    spec: dict[str, Any], arguments: tuple[str, ...], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) == 2
    assert fault in capsys.readouterr().err


def test_what_is_no_reference_is_wrong_usage(
    spec: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        call("inference", spec, "--shard", "../secrets")
    assert "no shard reference" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("faulty", "message"),
    [
        ("{source: [", "neither JSON nor YAML"),
        ({"model": {"uri": "absent.onnx"}}, "source: missing"),
        ({"source": {"uri": "x"}, "model": {"uri": "absent.onnx"}}, "absent.onnx"),
    ],
)
def test_a_failure_that_would_come_again_has_a_code_of_its_own(
    spec: dict[str, Any], faulty: Any, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("pipeline", faulty, "--result", "result.json") == 3
    assert message in capsys.readouterr().err
    found = StageResult.from_json(Path("result.json").read_bytes(), "result.json")
    assert message in (found.error or "")
    assert not found.retryable


def test_a_failure_that_may_pass_is_an_ordinary_one(
    spec: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("preprocess", spec, "--shard", "ingest/00000", "--result", "result.json") == 1
    assert "no finished shard ingest/00000" in capsys.readouterr().err
    found = StageResult.from_json(Path("result.json").read_bytes(), "result.json")
    assert found.error
    assert found.error.startswith("ShardError: ")
    assert found.retryable


def test_a_result_that_cannot_be_written_does_not_hide_the_failure(
    spec: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    assert call("ingest", "{}", "--result", "file/result.json") == 3
    assert "source: missing" in capsys.readouterr().err
    assert call("ingest", spec, "--result", "file/result.json") == 1
    assert "Cannot write file/result.json" in capsys.readouterr().err
