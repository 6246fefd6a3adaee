from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from airflow_provider_aiopt.exceptions import StorageError
from airflow_provider_aiopt.telemetry.export import CSV_COLUMNS, csv_text, json_text, write_csv, write_json
from airflow_provider_aiopt.telemetry.reports import RunReport, StageSummary
from airflow_provider_aiopt.telemetry.summary import build_run_report
from airflow_provider_aiopt.telemetry.testing import make_stage_report


@pytest.fixture
def report() -> RunReport:
    third = make_stage_report('odd, "name"', start=1, wall_s=2 / 3, items_out=5)
    return build_run_report([make_stage_report("ingest", wall_s=1 / 3, items_out=7), third])


def test_csv_has_a_stable_header_and_full_precision(report: RunReport) -> None:
    text = csv_text(report)

    assert text.startswith("Stage,Duration_s,Share,Items,Items_per_s,Tasks,")
    ingest, odd = csv.DictReader(io.StringIO(text))
    assert float(ingest["Duration_s"]) == 1 / 3
    assert float(odd["Share"]) == report.stages[1].share
    assert odd["Stage"] == 'odd, "name"'
    assert (ingest["Queued_s"], ingest["Bottleneck"], odd["Bottleneck"]) == ("", "0", "1")


def test_csv_has_every_field_of_a_stage() -> None:
    assert {name.lower() for name in CSV_COLUMNS} == set(StageSummary.model_fields)


def test_json_round_trips(report: RunReport) -> None:
    assert RunReport.model_validate_json(json_text(report)) == report


def test_files_are_written_into_new_folders(report: RunReport, tmp_path: Path) -> None:
    write_csv(report, tmp_path / "new" / "run.csv")
    write_json(report, str(tmp_path / "new" / "run.json"))

    assert (tmp_path / "new" / "run.csv").read_text() == csv_text(report)
    assert (tmp_path / "new" / "run.json").read_text() == json_text(report)


def test_a_place_that_cannot_be_written_is_named(report: RunReport, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match=r"Cannot write .*/file/run\.csv"):
        write_csv(report, tmp_path / "file" / "run.csv")
