from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow_provider_aiopt.telemetry.profile_lines import profile_lines
from airflow_provider_aiopt.telemetry.reports import StageReport
from airflow_provider_aiopt.telemetry.summary import build_run_report

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def lines(**accounts: Any) -> list[str]:
    """What is said of a run whose stages have these profiles, None for none."""
    reports = [
        StageReport(
            pipeline="p",
            stage=stage,
            started_at=NOW,
            ended_at=NOW,
            wall_s=1,
            busy_s=1,
            details={} if account is None else {"profile": account},
        )
        for stage, account in accounts.items()
    ]
    return list(profile_lines(build_run_report(reports)))


def account(**fields: Any) -> dict[str, Any]:
    return {
        "kind": "cprofile",
        "uri": "/runs/1/profiles/ingest-local",
        "files": {"profile.prof": 2048},
        **fields,
    }


def test_a_profile_is_named_with_its_files_and_its_cost() -> None:
    overhead = {"method": "m", "seconds": 1, "share": 0.05, "low": 0.04, "high": 0.061}
    (line,) = lines(ingest=account(overhead=overhead), preprocess=None)
    assert line == (
        "Profile of ingest: /runs/1/profiles/ingest-local (cprofile: profile.prof 2.00 KiB; "
        "overhead 5.0 %, between 4.0 % and 6.1 %)"
    )


def test_a_cost_that_is_not_known_is_said() -> None:
    (line,) = lines(ingest=account(overhead=None))
    assert line.endswith("overhead not known: too few calls)")


def test_a_profiler_that_failed_says_why() -> None:
    assert lines(ingest=account(error="ProfilingError: too short")) == [
        "Profile of ingest: cprofile failed: ProfilingError: too short"
    ]


def test_a_run_without_profiles_says_nothing() -> None:
    assert lines(ingest=None) == []
