from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import advisor_reports
import pytest
from simulated import calibration, step

from airflow_provider_aiopt.cli.main import main
from airflow_provider_aiopt.cli.simulate import duration, goal, peak, whole_numbers
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.simulation.service import Calibration, constant
from airflow_provider_aiopt.telemetry.run_report import write_stage_report


@pytest.fixture
def known(tmp_path: Path) -> str:
    """A calibration in a file: tasks of 0.2 s and 0.1 s for each record, on two cores."""
    made = calibration(step(mapped=True, start_up_cpu_s=constant(0.2), cpu_s_per_item=0.1), shards=2)
    path = tmp_path / "calibration.json"
    path.write_text(made.model_dump_json())
    return str(path)


def answered(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["simulate", *arguments, "--repetitions", "2", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["simulate", *arguments, "--repetitions", "2"]) == 0
    return capsys.readouterr().out


class TestConfigurations:
    def test_a_workspace_of_a_run(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for report in advisor_reports.healthy().tasks:
            write_stage_report(Folder.open(str(tmp_path)), report)

        found = answered(capsys, str(tmp_path))

        assert found["predictions"][0]["makespan_s"]["mean"] > 20
        assert "Give --airflow-url" in " ".join(found["assumptions"])

    def test_a_file_of_a_report_with_airflows_times(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "report.json"
        path.write_text(advisor_reports.in_airflow().model_dump_json())

        found = answered(capsys, str(path))

        assert "Give --airflow-url" not in " ".join(found["assumptions"])

    def test_one_configuration(self, known: str, capsys: pytest.CaptureFixture[str]) -> None:
        [found] = answered(capsys, known, "--workers", "1", "--items", "20", "--runs", "2")["predictions"]

        # Four tasks of ten records, one after the other.
        assert found["makespan_s"]["mean"] == pytest.approx(4 * 1.2)
        assert found["configuration"]["workers"] == 1
        assert found["limit"]["name"] == "workers"

    def test_a_grid_is_a_table(self, known: str, capsys: pytest.CaptureFixture[str]) -> None:
        lines = shown(capsys, known, "--workers", "1,2", "--shards", "2,4").splitlines()

        assert lines[0].startswith("1 run of 100 records, simulated")
        rows = [line.split() for line in lines if line.strip()[:1].isdigit()][1:]
        assert [row[:2] for row in rows] == [["2", "1"], ["2", "2"], ["4", "1"], ["4", "2"]]
        assert [row[:2] for row in rows if "*" in row] == [["2", "2"]]
        assert "Simulated from 1 measured run" in lines[-1]

    def test_the_cost_is_shown_where_prices_are_known(
        self, known: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert "Cost" not in shown(capsys, known)
        assert "Cost" in shown(capsys, known, "--machine-hour", "3600")

    def test_a_seed_says_it_all(self, known: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert answered(capsys, known, "--seed", "7") == answered(capsys, known, "--seed", "7")

    def test_other_cores_than_measured_are_noted(
        self, known: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert "Another number of cores" in shown(capsys, known, "--cores", "8")
        assert "Another number of cores" not in shown(capsys, known)


class TestCalibrations:
    def test_what_runs_tell_is_kept_and_taken_up(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        report, kept = tmp_path / "report.json", tmp_path / "kept.json"
        report.write_text(advisor_reports.in_airflow().model_dump_json())

        first = answered(capsys, str(report), str(report), "--save-calibration", str(kept))

        assert Calibration.model_validate_json(kept.read_text()).runs == 2
        assert answered(capsys, str(kept)) == first

    def test_neighbours_can_be_told_away(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "busy.json"
        busy = calibration(step(cpu_s_per_item=0.01), neighbours=2.0, crowded=True)
        path.write_text(busy.model_dump_json())

        crowded, alone = answered(capsys, str(path)), answered(capsys, str(path), "--neighbours", "0")

        assert "say --neighbours 0" in " ".join(crowded["assumptions"])
        assert "say --neighbours 0" not in " ".join(alone["assumptions"])
        means = [found["predictions"][0]["makespan_s"]["mean"] for found in (crowded, alone)]
        assert means == pytest.approx([1.5, 1.0])


class TestLoads:
    def test_what_records_wait_for(self, known: str, capsys: pytest.CaptureFixture[str]) -> None:
        [one, two] = answered(capsys, known, "--arrivals", "9.5/s", "--shards", "1", "--workers", "1,2")[
            "services"
        ]

        assert one["growing"]
        assert not two["growing"]
        assert two["p95_s"]["mean"] < 5

    def test_a_backlog_that_grows_is_shown(self, known: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert "backlog grows" in shown(
            capsys, known, "--arrivals", "9.5/s", "--workers", "1", "--shards", "1"
        )

    def test_the_cheapest_that_meets_the_goal(self, known: str, capsys: pytest.CaptureFixture[str]) -> None:
        found = answered(
            capsys, known, "--arrivals", "25/s", "--p95", "20s", "--window", "4s", "--max-batch", "500",
            "--shards", "4", "--active-runs", "16", "--workers", "2", "--machine-hour", "2",
        )["plan"]  # fmt: skip

        assert found["best"]["configuration"]["machines"] == 2
        assert found["cost_per_hour"] == 4.0
        assert [variant["change"] for variant in found["less"]] == ["one machine less", "one active run less"]

    def test_a_plan_says_what_becomes_of_less(self, known: str, capsys: pytest.CaptureFixture[str]) -> None:
        text = shown(
            capsys, known, "--arrivals", "2/s", "--p95", "20s", "--window", "4s", "--workers", "4",
            "--cores", "2", "--shards", "2", "--active-runs", "4",
        )  # fmt: skip

        for word in (
            "needs",
            "batches",
            "results",
            "margin",
            "busy",
            "with one active run less",
            "with one core less",
        ):
            assert f"\n{word}" in f"\n{text}"

    def test_the_times_of_real_uploads(
        self, known: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        times = tmp_path / "uploads.csv"
        times.write_text("".join(f"{number}\n" for number in range(0, 100, 2)))

        [found] = answered(capsys, known, "--arrivals", str(times), "--window", "0")["services"]

        assert found["runs_per_hour"] == pytest.approx(1800, rel=0.01)


class TestRefusals:
    def test_a_goal_needs_a_load(self, known: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["simulate", known, "--p95", "60s"]) == 2
        assert "Give --arrivals" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--gpus", "1"], "used no GPU"),
            (["--arrivals", "many"], "no rate of arrivals"),
            (["--arrivals", "5/s", "--p95", "60s", "--workers", "1,2"], "one value of what is fixed"),
        ],
    )
    def test_what_cannot_be_answered(
        self, known: str, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
    ) -> None:
        assert main(["simulate", known, *arguments]) == 1
        assert message in capsys.readouterr().err

    def test_a_calibration_stands_alone(self, known: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["simulate", known, known]) == 1
        assert "give it alone" in capsys.readouterr().err

    def test_a_file_that_is_not_there(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["simulate", str(tmp_path / "none.json")]) == 1
        assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60.0), ("500ms", 0.5), ("1.5min", 90.0), ("2m", 120.0), ("1h", 3600.0), ("7", 7.0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == goal(text) == seconds


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (duration, "soon"),
        (duration, "-1s"),
        (goal, "0s"),
        (peak, "0.9"),
        (peak, "2.1"),
        (whole_numbers, "1,,2"),
        (whole_numbers, "-1"),
        (whole_numbers, "a"),
    ],
)
def test_what_is_refused(read: Any, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        read(text)


def test_zero_is_for_gpus_alone(known: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert answered(capsys, known, "--gpus", "0")["predictions"]
    with pytest.raises(SystemExit):
        main(["simulate", known, "--workers", "0"])
