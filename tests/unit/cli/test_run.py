from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from components import requires
from onnx_models import linear_model

from airflow_provider_aiopt.cli.main import main
from airflow_provider_aiopt.cli.terminal import one_line
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.telemetry.hardware.sampler import Sampler
from airflow_provider_aiopt.telemetry.reports import STAGES
from airflow_provider_aiopt.telemetry.run_report import write_stage_report
from airflow_provider_aiopt.telemetry.testing import make_stage_report


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rows times a matrix, classified as ``cat`` or ``dog``; the working directory is the spec's folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{number},1\n" for number in range(3)))
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    linear_model(tmp_path / "model.onnx", np.array([[1, 0], [0, 1]]))
    values = {
        "name": "animals",
        "source": {"uri": "rows.csv", "format": "csv", "columns": ["a", "b"]},
        "preprocess": {"kind": "tabular"},
        "model": {"uri": "model.onnx", "labels": "labels.txt"},
        "postprocess": {"kind": "classification"},
        "execution": {"workers": 1},
    }
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["run", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_results_where_the_time_went_and_where_it_all_lies(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(spec), "--run-id", "first"]) == 0

    out, err = capsys.readouterr()
    assert re.search(r"rows\.csv#0 +dog +0\.731 +cat 0\.27", out)
    assert all(stage in out for stage in STAGES)
    assert "3 records in, 3 results, 0 quarantined" in out
    assert "Results: runs/animals/first/results\nWorkspace: runs/animals/first\n" in out
    assert err == ""


def test_json_is_the_report_and_nothing_else(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, str(spec), "--run-id", "first", "--work-dir", "elsewhere")
    assert (found["pipeline"], found["run_id"], found["results"]) == ("animals", "first", 3)
    assert found["results_uri"] == "elsewhere/animals/first/results"


def test_a_run_without_a_name_gets_a_new_one(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {report(capsys, str(spec))["run_id"] for _ in range(2)}
    assert len(names) == 2
    assert all(re.fullmatch(r"run-\d{8}T\d{6}\.\d{6}Z", name) for name in names)


def test_the_same_name_resumes(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resumed = [
        sum(stage["resumed"] for stage in report(capsys, str(spec), "--run-id", "x")["stages"])
        for _ in range(2)
    ]
    assert resumed == [0, 12]


def test_values_of_the_spec_may_be_replaced(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--set", "execution.batch_size=2", "--set", "postprocess={kind: raw}", "--set", "name=other"]
    found = report(capsys, str(spec), *options)
    assert found["pipeline"] == "other"
    assert [task["batch_sizes"] for task in found["tasks"]][2] == {"1": 1, "2": 1}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "execution.shards",
            "--set takes KEY=VALUE, for example execution.shards=4; found 'execution.shards'",
        ),
        ("=4", "found '=4'"),
        ("a=[", "--set a: '[' is not valid YAML"),
        ("execution.shard=4", "execution.shard: unknown key; did you mean 'shards'?"),
        ("name.x=1", "Cannot set name.x: name is not a section"),
        ("execution.shards=0", "execution.shards: found 0 (int)"),
    ],
)
def test_a_replacement_that_is_wrong_says_how(
    spec: Path, capsys: pytest.CaptureFixture[str], option: str, message: str
) -> None:
    assert main(["run", str(spec), "--set", option]) == 1
    out, err = capsys.readouterr()
    assert (out, err.startswith("aiopt: ")) == ("", True)
    assert message in err


def test_bad_records_are_shown_with_the_reason(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("rows.csv").write_text("a,b\n1,1\ncat,1\n2,\n")
    assert main(["run", str(spec), "--show", "1"]) == 0
    out, _ = capsys.readouterr()
    assert "Quarantine: 2 records, the first 1" in out
    assert "The row is not made of numbers" in out
    assert "3 records in, 1 results, 2 quarantined" in out


def test_nothing_but_the_summary(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(spec), "--show", "0"]) == 0
    out, _ = capsys.readouterr()
    assert "rows.csv#0" not in out
    assert "inference" in out


@pytest.mark.parametrize("count", ["-1", "many", "1.5"])
def test_a_count_that_is_none_is_wrong_usage(
    spec: Path, capsys: pytest.CaptureFixture[str], count: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", str(spec), "--show", count])
    assert ended.value.code == 2
    assert f"'{count}' is not allowed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("postprocess", "shown"),
    [
        ("{kind: raw}", r"rows\.csv#2 +\[2\.000, 1\.000\]"),
        ("{kind: embedding, pooling: none}", r"rows\.csv#0 +\[0\.000, 1\.000\]"),
    ],
)
def test_vectors_are_shown_too(
    spec: Path, capsys: pytest.CaptureFixture[str], postprocess: str, shown: str
) -> None:
    assert main(["run", str(spec), "--set", f"postprocess={postprocess}"]) == 0
    assert re.search(shown, capsys.readouterr().out)


def test_results_in_a_sink_with_options_are_shown(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = "sink={uri: 'memory://cli-sink', storage_options: {skip_instance_cache: true}}"
    assert main(["run", str(spec), "--run-id", "r", "--set", options]) == 0
    out = capsys.readouterr().out
    assert "rows.csv#0" in out
    assert "Results: memory://cli-sink/pipeline=animals/run_id=r" in out


def test_a_run_without_results(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("rows.csv").write_text("a,b\n")
    assert main(["run", str(spec), "--set", "source.allow_empty=true"]) == 0
    assert "0 records in, 0 results" in capsys.readouterr().out


def test_a_wrong_statsd_address(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(spec), "--statsd", "host:port"]) == 1
    assert "--statsd: 'host:port' is not HOST:PORT" in capsys.readouterr().err


def test_a_connection_is_airflows(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(spec), "--set", "source.connection=store"]) == 1
    assert "'store', which only Airflow can look up" in capsys.readouterr().err


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert one_line("a\x1b[31m\nb\u202ec") == r"a\x1b[31m\nb\u202ec"


class TestCallables:
    """A source that is a Python data set runs where its path is allowed."""

    @pytest.fixture(autouse=True)
    def _data(self, spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "aiopt_test_rows.py").write_text(
            "def rows(count): return [{'a': number, 'b': 1} for number in range(count)]"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delenv("AIOPT_ALLOWED_CALLABLES", raising=False)
        values = yaml.safe_load(spec.read_text())
        values["source"] = {
            "uri": "python:aiopt_test_rows.rows",
            "format": "python",
            "columns": ["a", "b"],
            "arguments": {"count": 5},
        }
        values["execution"]["shards"] = 2
        spec.write_text(yaml.safe_dump(values))

    @pytest.mark.parametrize("mode", ["staged", "streaming"])
    def test_allowed_by_argument(self, spec: Path, mode: str, capsys: pytest.CaptureFixture[str]) -> None:
        found = report(capsys, str(spec), "--mode", mode, "--allow-callables", "aiopt_test_rows")

        assert (found["records_in"], found["results"], found["quarantined"]) == (5, 5, 0)

    def test_allowed_by_environment(
        self, spec: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIOPT_ALLOWED_CALLABLES", "elsewhere,aiopt_test_rows.rows")

        assert report(capsys, str(spec))["results"] == 5

    def test_else_refused_in_one_line(self, spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["run", str(spec)]) == 1

        assert capsys.readouterr().err == (
            "aiopt: source.uri: 'python:aiopt_test_rows.rows' is not allowed here; allowed is what lies "
            "under: nothing. A deployment lists its prefixes in [aiopt] allowed_callables; aiopt run takes "
            "--allow-callables\n"
        )

    def test_a_retry_goes_on_after_the_last_shard(
        self, spec: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        arguments = (str(spec), "--run-id", "r", "--allow-callables", "aiopt_test_rows")
        report(capsys, *arguments)
        again = report(capsys, *arguments)
        assert [stage["resumed"] for stage in again["stages"]] == [5, 5, 5, 5]

        other = report(capsys, *arguments, "--set", "source.arguments.count=4")
        assert [stage["resumed"] for stage in other["stages"]] == [0, 0, 0, 0]


@pytest.mark.parametrize(("interval", "sampled"), [("0", False), ("0.1", True)])
def test_the_hardware_is_sampled_unless_it_is_told_not_to(
    spec: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    interval: str,
    sampled: bool,
) -> None:
    begun: list[float] = []
    begin = Sampler.begin
    monkeypatch.setattr(Sampler, "begin", lambda self, seconds: begun.append(seconds) or begin(self, seconds))
    for mode in ("staged", "streaming"):
        report(capsys, str(spec), "--hardware-interval", interval, "--mode", mode)
    assert begun == [0.1] * (len(STAGES) + 1) * sampled


def test_a_profile_is_named_below_the_table(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--profile", "cprofile", "--profile-stage", "inference"]
    assert main(["run", str(spec), "--run-id", "first", *asked]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Profile of ")]
    assert len(lines) == 1
    assert lines[0].startswith(
        "Profile of inference: runs/animals/first/profiles/inference-00000 (cprofile: "
    )

    assert main(["report", "runs/animals/first"]) == 0
    assert lines[0] in capsys.readouterr().out


def test_functions_are_profiled_line_by_line_where_they_are_allowed(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requires("line_profiler", "uv pip install --group test")
    named = "airflow_provider_aiopt.stages.transforms.tabular.TabularTransform"
    settings = ["--set", "execution.batch_size=1", "--profile", "line"]
    found = report(capsys, str(spec), *settings, "--profile-function", named, "--profile-stage", "preprocess")
    (account,) = [task["details"]["profile"] for task in found["tasks"] if "profile" in task["details"]]
    assert set(account["files"]) == {"profile.lprof", "profile.txt"}

    assert main(["run", str(spec), *settings, "--profile-function", "os.system"]) == 1
    assert "'os.system' may not be profiled here" in capsys.readouterr().err


class TestHistory:
    def earlier(self, folder: Path) -> None:
        for number in range(8):
            report = make_stage_report(
                "postprocess", pipeline="animals", start=60 * number, wall_s=50, items_in=3, items_out=3
            )
            write_stage_report(Folder.open(str(folder / f"run-{number}")), report)

    def test_a_stage_that_has_changed_is_marked(
        self, spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.earlier(tmp_path / "runs" / "animals")
        found = report(capsys, str(spec), "--run-id", "x")
        stages = {stage["stage"]: (stage["usual_s"], stage["change"]) for stage in found["stages"]}
        assert stages["postprocess"] == (50, "faster")
        assert stages["ingest"] == (None, None)
        assert main(["report", "runs/animals/x", "--against-history", "runs/animals"]) == 0
        assert "Faster than usual: postprocess" in capsys.readouterr().out

    def test_a_broken_report_of_another_run_does_not_fail_this_one(
        self, spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "runs" / "animals"
        self.earlier(folder)
        (folder / "run-3" / "reports" / "postprocess-local.json").write_text("{}")
        assert main(["run", str(spec), "--json"]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["results"] == 3
        assert "this run is not compared with earlier ones" in err
