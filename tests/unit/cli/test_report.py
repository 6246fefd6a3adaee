from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from pathlib import Path

import pytest

from airflow_provider_aiopt.advisor.models import Diagnosis
from airflow_provider_aiopt.cli.command import add_to_parser
from airflow_provider_aiopt.cli.report import COMMAND
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.exceptions import MissingExtraError, ReportError
from airflow_provider_aiopt.telemetry import airflow_api
from airflow_provider_aiopt.telemetry.reports import STAGES, TaskTimes
from airflow_provider_aiopt.telemetry.run_report import write_stage_report
from airflow_provider_aiopt.telemetry.testing import EPOCH, make_stage_report, make_task


def aiopt(*arguments: str) -> int:
    parser = argparse.ArgumentParser("aiopt")
    add_to_parser(parser, (COMMAND,))
    parsed = parser.parse_args(["report", *arguments])
    return parsed.run(parsed)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "AIRFLOW__AIOPT__WORK_DIR",
        "AIRFLOW_HOME",
        "AIOPT_AIRFLOW_URL",
        "AIOPT_AIRFLOW_TOKEN",
        "AIOPT_AIRFLOW_USERNAME",
        "AIOPT_AIRFLOW_PASSWORD",
    ):
        monkeypatch.delenv(name, raising=False)


def write_run(workspace: Path, *, in_airflow: bool = True) -> Path:
    for place, stage in enumerate(STAGES):
        task = make_task(stage) if in_airflow else None
        report = make_stage_report(stage, start=place, task=task, items_in=5, items_out=5)
        write_stage_report(Folder.open(str(workspace)), report)
    return workspace


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "work" / "dag" / "run")


def test_the_table_is_the_default(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert aiopt(str(run)) == 0

    out, err = capsys.readouterr()
    assert all(stage in out for stage in STAGES)
    assert "* bottleneck:" in out
    assert err == ""


def test_json_is_all_that_standard_output_carries(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert aiopt(str(run), "--json") == 0

    report = json.loads(capsys.readouterr().out)
    assert (report["dag_id"], report["run_id"], report["results"]) == ("dag", "run", 5)


def test_csv_is_all_that_standard_output_carries(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert aiopt(str(run), "--csv") == 0

    rows = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert [row["Stage"] for row in rows] == list(STAGES)


def test_files_are_written_beside_the_table(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    files = [tmp_path / name for name in ("run.csv", "run.png", "run.svg")]

    assert aiopt(str(run), "--csv", str(files[0]), "--plot", str(files[1]), "--plot", str(files[2])) == 0

    assert all(file.stat().st_size for file in files)
    assert "Stage" in capsys.readouterr().out


def test_two_kinds_of_data_on_standard_output_are_wrong_usage(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert aiopt(str(run), "--json", "--csv") == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert "both want standard output" in err


def test_a_run_is_found_below_the_given_work_dir(run: Path) -> None:
    assert aiopt("dag/run", "--work-dir", str(run.parents[1])) == 0


@pytest.mark.parametrize(
    ("variable", "levels"),
    [("AIRFLOW__AIOPT__WORK_DIR", ""), ("AIRFLOW_HOME", "/..")],
    ids=["work dir", "home"],
)
def test_a_run_is_found_below_the_environments_work_dir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, levels: str
) -> None:
    write_run(tmp_path / "aiopt" / "dag" / "run")
    monkeypatch.setenv(variable, f"{tmp_path}/aiopt{levels}")

    assert aiopt("dag/run") == 0


def test_a_url_is_taken_as_it_is(tmp_path: Path) -> None:
    assert aiopt(write_run(tmp_path / "run").as_uri(), "--work-dir", "/nowhere") == 0


def test_a_missing_run_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=f"no stage reports in {tmp_path}/dag/run/reports"):
        aiopt("dag/run", "--work-dir", str(tmp_path))


class Api:
    made: tuple[str, dict[str, str | None]]

    def __init__(self, url: str, **credentials: str | None) -> None:
        type(self).made = (url, credentials)

    def queued_s(self, dag_id: str, run_id: str) -> float | None:
        return 1.5

    def task_times(self, dag_id: str, run_id: str) -> tuple[TaskTimes, ...]:
        assert (dag_id, run_id) == ("dag", "run")
        return (
            TaskTimes(
                task_id="ingest", scheduled_at=EPOCH, queued_at=EPOCH, started_at=EPOCH.replace(second=7)
            ),
        )


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> type[Api]:
    monkeypatch.setattr(airflow_api, "AirflowApi", Api)
    return Api


def test_airflows_times_are_added(run: Path, api: type[Api], capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--airflow-token", "t", "--airflow-username", "u", "--airflow-password", "p")

    assert aiopt(str(run), "--json", "--airflow-url", "http://airflow", *options) == 0

    assert json.loads(capsys.readouterr().out)["stages"][0]["queued_s"] == 7
    assert api.made == ("http://airflow", {"token": "t", "username": "u", "password": "p"})


def test_credentials_come_from_the_environment(
    run: Path, api: type[Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"URL": "http://env", "TOKEN": "t", "USERNAME": "u", "PASSWORD": "p"}.items():
        monkeypatch.setenv(f"AIOPT_AIRFLOW_{name}", value)

    assert aiopt(str(run)) == 0
    assert api.made == ("http://env", {"token": "t", "username": "u", "password": "p"})


def test_a_run_outside_airflow_has_no_times_there(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", in_airflow=False)

    with pytest.raises(ReportError, match="did not run in Airflow"):
        aiopt(str(run), "--airflow-url", "http://airflow")


def test_without_matplotlib_nothing_but_the_plot_is_missing(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    assert aiopt(str(run)) == 0
    with pytest.raises(MissingExtraError, match=r"\[plot\]"):
        aiopt(str(run), "--plot", "run.png")


def test_a_run_is_compared_with_those_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(9):
        seconds = 5 if number == 8 else 2
        report = make_stage_report("postprocess", start=60 * number, wall_s=seconds, items_in=1, items_out=1)
        write_stage_report(Folder.open(str(tmp_path / f"run-{number}")), report)
    newest = str(tmp_path / "run-8")

    assert aiopt(newest, "--against-history", str(tmp_path)) == 0
    assert "Slower than usual: postprocess, 5.00 s, usually 2.00 s" in capsys.readouterr().out
    assert aiopt(newest, "--csv", "--against-history", str(tmp_path)) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["Usual_s"], row["Change"]) == ("2.0", "slower")
    assert aiopt(newest) == 0
    assert "usual" not in capsys.readouterr().out


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        aiopt("--help")

    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert all(flag in text for item in COMMAND.arguments for flag in item.flags if flag.startswith("-"))
    assert "exit codes" in text


def test_explain_says_what_limits_the_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert aiopt(str(run), "--explain") == 0

    out = capsys.readouterr().out
    assert "* bottleneck:" in out
    assert "\nLimited by " in out


def test_explain_as_json_is_the_diagnosis(
    run: Path, api: type[Api], capsys: pytest.CaptureFixture[str]
) -> None:
    assert aiopt(str(run), "--explain", "--json", "--airflow-url", "http://airflow") == 0

    found = Diagnosis.model_validate_json(capsys.readouterr().out)
    assert found.limit is not None
    assert found.elapsed_s == pytest.approx(4 + 1.5)
