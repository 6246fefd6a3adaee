from __future__ import annotations

import advisor_reports
import pytest
from simulated import calibration, step

from airflow_provider_aiopt.exceptions import ReportError
from airflow_provider_aiopt.simulation.loading import read_file


def test_a_run_report() -> None:
    report = advisor_reports.healthy()

    assert read_file(report.model_dump_json().encode(), "report.json") == report


def test_a_calibration() -> None:
    known = calibration(step())

    assert read_file(known.model_dump_json().encode(), "calibration.json") == known


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"steps": []}', b'{"stages": []}', b"\xff"])
def test_anything_else(content: bytes) -> None:
    with pytest.raises(ReportError, match=r"x\.json is neither a run report .* nor a calibration"):
        read_file(content, "x.json")
