from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from onnx_models import linear_model

from airflow_provider_aiopt.cli.main import main
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.telemetry.run_report import write_stage_report
from airflow_provider_aiopt.telemetry.testing import make_stage_report


def write_runs(base: Path, factor: float, *, rounds: int = 8, named: str = "round-{:03d}") -> str:
    """Write reports of runs that vary by a few per cent."""
    for number in range(1, rounds + 1):
        folder = Folder.open(str(base / named.format(number)))
        seconds = factor * (1 + 0.01 * (number * 37 % 5)) * (1 + number / 10)
        report = make_stage_report(start=100 * number, wall_s=seconds, items_in=5, items_out=5)
        write_stage_report(folder, report)
    return str(base)


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n3,4\n5,6\n")
    linear_model(tmp_path / "model.onnx", np.ones((2, 1)))
    values = {
        "source": {"uri": "rows.csv", "format": "csv", "columns": ["a", "b"]},
        "preprocess": {"kind": "tabular"},
        "model": {"uri": "model.onnx"},
        "execution": {"workers": 1},
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(values))
    return "spec.yaml"


def compared(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main(["compare", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


class TestFolders:
    @pytest.mark.parametrize(
        ("factor", "verdict", "code"),
        [(0.8, "better", 0), (1.0, "equivalent", 0), (1.2, "worse", 4)],
    )
    def test_the_exit_code_is_the_verdict(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], factor: float, verdict: str, code: int
    ) -> None:
        folders = write_runs(tmp_path / "a", 1.0), write_runs(tmp_path / "b", factor)
        found, comparison = compared(capsys, *folders, "--metric", "inference")
        assert (found, comparison["variants"][0]["verdict"]) == (code, verdict)
        assert comparison["paired"]
        assert comparison["baseline"] == "a"

    def test_too_few_runs_are_inconclusive(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        folders = write_runs(tmp_path / "a", 1.0, rounds=4), write_runs(tmp_path / "b", 2.0, rounds=4)
        assert main(["compare", *folders]) == 5
        out, _ = capsys.readouterr()
        assert "b: inconclusive: wall is 2.000 times, 2.000 to 2.000 that of a, 4 rounds" in out
        assert "About 6 rounds in all are needed: --rounds 6" in out
        assert "Results: not compared" in out

    def test_other_runs_are_not_paired_unless_told_so(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folders = (
            write_runs(tmp_path / "a", 1.0, named="run-{}"),
            write_runs(tmp_path / "b", 1.1, named="x-{}"),
        )
        assert compared(capsys, *folders)[1]["paired"] is False
        code, comparison = compared(capsys, *folders, "--paired")
        assert (code, comparison["paired"]) == (4, True)
        assert comparison["variants"][0]["metrics"][0]["ratio"] == pytest.approx(1.1)

    def test_several_variants(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        folders = [
            write_runs(tmp_path / name, factor) for name, factor in (("a", 1.0), ("b", 0.8), ("c", 1.3))
        ]
        code, comparison = compared(capsys, *folders)
        assert code == 4
        assert [item["verdict"] for item in comparison["variants"]] == ["better", "worse"]

    def test_csv_and_a_chart(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pytest.importorskip("matplotlib")
        folders = write_runs(tmp_path / "a", 1.0), write_runs(tmp_path / "b", 0.8)
        charts = [tmp_path / "c.png", tmp_path / "c.svg"]
        assert main(["compare", *folders, "--csv", *(f"--plot={chart}" for chart in charts)]) == 0
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        assert (rows[0]["Metric"], rows[0]["Verdict"], rows[0]["Judged"]) == ("wall", "better", "1")
        assert {row["Verdict"] for row in rows[1:]} == {""}
        assert charts[1].read_text().startswith("<?xml")
        assert charts[0].read_bytes().startswith(b"\x89PNG")

    def test_json_and_csv_cannot_both_be_standard_output(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["compare", "a", "b", "--json", "--csv"]) == 2
        assert "both want standard output" in capsys.readouterr().err


class TestSpecs:
    def test_variants_of_one_spec(self, spec: str, capsys: pytest.CaptureFixture[str]) -> None:
        arguments = [spec, "--set", "execution.batch_size=1", "execution.shards=2", "--set", "mode=streaming"]
        code, comparison = compared(capsys, *arguments, "--rounds", "2", "--warm-ups", "0")
        assert code in {0, 4, 5}
        names = ["execution.batch_size=1,execution.shards=2", "mode=streaming"]
        assert [item["name"] for item in comparison["variants"]] == names
        for item in comparison["variants"]:
            assert item["agreement"] == {
                "balanced": True,
                "records": 3,
                "shared": 3,
                "same": 3,
                "quarantined": [0, 0],
            }
        (folder,) = Path("runs").glob("compare-*")
        assert sorted(path.name for path in folder.iterdir()) == sorted(["spec", *names])

    def test_different_answers_fail_after_the_figures(
        self, spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        linear_model(tmp_path / "other.onnx", np.full((2, 1), 2))
        arguments = [spec, "--set", "model.uri=other.onnx", "--rounds", "2", "--warm-ups", "0"]
        assert main(["compare", *arguments]) == 1
        out, err = capsys.readouterr()
        assert "Results: 0 of 3 answers (0.0%) are those of spec; every record is accounted for" in out
        assert "model.uri=other.onnx answers 0 of 3 records as spec does" in err
        assert main(["compare", *arguments, "--min-agreement", "0"]) in {0, 4, 5}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["spec.yaml"], "There is only spec.yaml: name a second spec, or make a variant with --set"),
            (["spec.yaml", "spec.yaml"], "The same is given twice"),
            (["spec.yaml", "other.yaml", "--set", "name=x"], "--set makes variants of one spec; here are 2"),
            (["spec.yaml", "runs"], r"specs (.yaml, .yml, .json) or folders of runs, not both"),
            (["spec.yaml", "--set", "mode=fast"], "--set mode=fast: the mode is staged or streaming"),
            (["spec.yaml", "--set", "execution.shard=2"], "did you mean 'shards'"),
            (["spec.yaml", "--set", "name=x", "--threshold", "0.2"], "threshold is 0.2 and effect 0.1"),
        ],
    )
    def test_what_makes_no_sense_says_so(
        self, spec: str, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
    ) -> None:
        assert main(["compare", *arguments]) == 1
        assert message in capsys.readouterr().err
