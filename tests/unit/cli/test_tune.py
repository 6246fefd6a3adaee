"""The command's own work: what it asks of the tuner, and what it does with the answer."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_aiopt.cli.main import main
from airflow_provider_aiopt.tuning.models import AirflowSetting, Trial, TuneReport
from airflow_provider_aiopt.tuning.search import Tuner

SPEC = """\
name: photos
source: {uri: photographs}
model:
  uri: builtin:efficientnet-lite0-int8
execution:
  batch_size: 1  # careful
"""


def make_report(**values: Any) -> TuneReport:
    trial = {"outcome": "complete", "seconds": 1.0, "configuration": {"execution.batch_size": 1}}
    return TuneReport(
        **{
            "pipeline": "photos",
            "objective": "throughput",
            "records": 10,
            "total_records": 10,
            "space": {"execution.batch_size": [1, 8]},
            "grid_size": 2,
            "trials": (Trial(number=0, origin="baseline", items_per_s=10, ended_s=1.0, **trial),),
            "ended": "exhausted",
            "changes": {"execution.batch_size": 8},
            "airflow": (AirflowSetting(section="core", key="parallelism", value="4", why="room"),),
            "seconds": 2.0,
            "seed": 0,
            **values,
        }
    )


class Asked:
    """Stands in the tuner's place: what it was asked for, and what it answers."""

    def __init__(self) -> None:
        self.report = make_report()
        self.tuner: Any = None
        self.journal = Path()
        self.resume = False

    def run(self, tuner: Tuner, journal: Path, *, resume: bool = False) -> TuneReport:
        self.tuner, self.journal, self.resume = tuner, journal, resume
        return self.report


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(SPEC)
    asked = Asked()

    def run(tuner: Tuner, journal: Path, *, resume: bool = False) -> TuneReport:
        return asked.run(tuner, journal, resume=resume)

    monkeypatch.setattr(Tuner, "run", run)
    return asked


def test_what_is_asked_for_reaches_the_tuner(asked: Asked) -> None:
    limits = ["--max-latency", "200ms", "--max-memory", "2GiB", "--budget", "90s", "--trials", "7"]
    search = [
        "--search",
        "execution.batch_size=1,auto",
        "--search",
        "execution.workers=null,2",
        "--model",
        "m.onnx",
    ]
    assert main(["tune", "spec.yaml", *limits, *search, "--no-guesses", "--seed", "3", "--sample", "20"]) == 0
    tuner = asked.tuner
    assert (tuner._measuring.limits.latency_s, tuner._measuring.limits.memory_bytes) == (0.2, 2 * 2**30)
    assert tuner._options.only == {"execution.batch_size": (1, "auto"), "execution.workers": (None, 2)}
    assert (tuner._options.budget_s, tuner._options.most_trials, tuner._options.records) == (90, 7, 20)
    assert (tuner._options.models, tuner._options.guess, tuner._options.seed) == (("m.onnx",), False, 3)
    assert asked.journal.match("runs/tune/photos/*/study.journal")


def test_the_change_is_a_diff_that_applies(
    asked: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tune", "spec.yaml", "--diff", "change.diff", "--airflow", "airflow.env"]) == 0
    out = capsys.readouterr().out
    assert "-  batch_size: 1  # careful\n+  batch_size: 8  # careful\n" in out
    assert "[core]\n# room\nparallelism = 4\n" in out
    assert (tmp_path / "airflow.env").read_text() == "AIRFLOW__CORE__PARALLELISM=4\n"
    assert (tmp_path / "spec.yaml").read_text() == SPEC
    subprocess.run(["git", "apply", "-p0", "change.diff"], cwd=tmp_path, check=True)
    assert yaml.safe_load((tmp_path / "spec.yaml").read_text())["execution"] == {"batch_size": 8}


def test_apply_writes_it(asked: Asked, tmp_path: Path) -> None:
    assert main(["tune", "spec.yaml", "--apply"]) == 0
    assert (tmp_path / "spec.yaml").read_text() == SPEC.replace("batch_size: 1", "batch_size: 8")


def test_where_nothing_is_to_change_nothing_does(
    asked: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked.report = make_report(changes={}, airflow=())
    assert main(["tune", "spec.yaml", "--apply", "--airflow", "airflow.env"]) == 0
    assert (tmp_path / "spec.yaml").read_text() == SPEC
    assert not (tmp_path / "airflow.env").exists()
    assert "No change" in capsys.readouterr().out


def test_the_report_as_json(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "spec.yaml", "--json", "--plot", "curve.svg"]) == 0
    assert TuneReport.model_validate(json.loads(capsys.readouterr().out)) == asked.report
    assert Path("curve.svg").exists()


def test_an_interrupted_search_says_how_to_go_on(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    asked.report = make_report(changes={}, airflow=(), ended="interrupted")
    assert main(["tune", "spec.yaml"]) == 130
    assert f"--resume {asked.journal}" in capsys.readouterr().err


def test_resume_takes_the_newest_study_or_the_one_that_is_named(asked: Asked, tmp_path: Path) -> None:
    for name in ("20260101T000000Z", "20260301T000000Z", "20260201T000000Z"):
        folder = tmp_path / "runs" / "tune" / "photos" / name
        folder.mkdir(parents=True)
        (folder / "study.journal").touch()
    assert main(["tune", "spec.yaml", "--resume"]) == 0
    assert (asked.journal.parent.name, asked.resume) == ("20260301T000000Z", True)
    named = "runs/tune/photos/20260101T000000Z/study.journal"
    assert main(["tune", "spec.yaml", "--resume", named]) == 0
    assert asked.journal == Path(named)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume"], "There is no study of this pipeline"),
        (["--resume", "nowhere"], "There is no study in nowhere"),
        (["--search", "execution.workers"], "--search takes KEY=VALUE,VALUE"),
        (["--search", "execution.workers={"], "--search takes KEY=VALUE,VALUE"),
    ],
)
def test_what_cannot_be_is_said(
    asked: Asked, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["tune", "spec.yaml", *arguments]) == 1
    assert message in capsys.readouterr().err
