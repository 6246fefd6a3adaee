from __future__ import annotations

import pytest

from airflow_provider_aiopt.exceptions import ReportError, SpecError, StorageError
from airflow_provider_aiopt.runner.stage_result import StageResult
from airflow_provider_aiopt.telemetry.reports import STAGES
from airflow_provider_aiopt.telemetry.testing import make_stage_report


def test_a_result_reads_back_as_it_was_written() -> None:
    reports = tuple(make_stage_report(name) for name in STAGES)
    given = StageResult(work="pipeline", results_uri="/results", results=7, stage_reports=reports)
    assert StageResult.from_json(given.to_json(), "x") == given


def test_an_error_keeps_its_class_and_whether_it_would_come_again() -> None:
    assert StageResult.of_error("plan", SpecError("wrong")) == StageResult(
        work="plan", error="SpecError: wrong", retryable=False
    )
    assert StageResult.of_error("plan", StorageError("full")).retryable


def test_a_long_error_does_not_outgrow_an_xcom() -> None:
    assert len(StageResult.of_error("plan", StorageError("x" * 99_999)).to_json()) < 4096


@pytest.mark.parametrize("content", ["", "[]", '{"work": "plan", "surprise": 1}'])
def test_what_is_no_result_is_named_with_where_it_was_found(content: str) -> None:
    with pytest.raises(ReportError, match=r"the pod's XCom is no result of 'aiopt stage'.*same version"):
        StageResult.from_json(content, "the pod's XCom")
