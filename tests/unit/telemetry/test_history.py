from __future__ import annotations

from pathlib import Path

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.telemetry.history import MOST_RUNS, against_history
from airflow_provider_aiopt.telemetry.reports import Change
from airflow_provider_aiopt.telemetry.run_report import load_run_report, write_stage_report
from airflow_provider_aiopt.telemetry.testing import make_stage_report


def write_run(base: Path, number: int, seconds: float, **fields: object) -> Folder:
    folder = Folder.open(str(base / f"run-{number:03d}"))
    counts = {"items_in": 5, "items_out": 5} | fields
    write_stage_report(folder, make_stage_report("postprocess", start=60 * number, wall_s=seconds, **counts))
    return folder


def found(base: Path, run: Folder) -> tuple[float | None, Change | None]:
    (stage,) = against_history(load_run_report(run), Folder.open(str(base))).stages
    return stage.usual_s, stage.change


def test_a_run_among_its_own(tmp_path: Path) -> None:
    for number in range(8):
        write_run(tmp_path, number, 2)
    (tmp_path / "run-004b").mkdir()  # has not reported yet
    assert found(tmp_path, write_run(tmp_path, 9, 4)) == (2, "slower")
    assert found(tmp_path, write_run(tmp_path, 10, 2)) == (2, None)


def test_other_pipelines_and_runs_under_way_are_left_out(tmp_path: Path) -> None:
    for number in range(8):
        write_run(tmp_path, number, 2, **({} if number else {"pipeline": "other"}))
    write_run(tmp_path, 8, 2, items_out=3)
    assert found(tmp_path, write_run(tmp_path, 9, 4)) == (None, None)


def test_an_empty_history(tmp_path: Path) -> None:
    assert found(tmp_path / "none", write_run(tmp_path, 0, 4)) == (None, None)


def test_a_long_history_is_read_from_its_end(tmp_path: Path) -> None:
    write_run(tmp_path, 0, 2)
    (tmp_path / "run-000" / "reports" / "postprocess-local.json").write_text("no report")
    for number in range(1, MOST_RUNS + 1):
        write_run(tmp_path, number, 2)
    assert found(tmp_path, write_run(tmp_path, MOST_RUNS + 1, 4)) == (2, "slower")
