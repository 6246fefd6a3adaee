from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_aiopt.telemetry.reports import STAGES, RunReport
from airflow_provider_aiopt.telemetry.summary import build_run_report
from airflow_provider_aiopt.telemetry.testing import make_stage_report

MakeRun = Callable[..., RunReport]


@pytest.fixture
def make_run() -> MakeRun:
    """Make a report of a run of four stages, of which inference takes *seconds* and the others 0.1 s."""

    def make(seconds: float, *, records: int = 100, **fields: object) -> RunReport:
        reports, start = [], 0.0
        for stage in STAGES:
            wall = seconds if stage == "inference" else 0.1
            counts = {"items_in": records, "items_out": records} | fields
            reports.append(make_stage_report(stage, start=start, wall_s=wall, **counts))
            start += wall
        return build_run_report(reports, run_id="run")

    return make
