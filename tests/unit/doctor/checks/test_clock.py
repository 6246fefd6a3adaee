from __future__ import annotations

from dataclasses import replace

import pytest
from deployments import FakeConfiguration

from airflow_provider_aiopt.doctor.checks.clock import CLOCK, Skew, judge, measure
from airflow_provider_aiopt.doctor.context import CheckContext, Fact
from airflow_provider_aiopt.doctor.health import AirflowHealth
from airflow_provider_aiopt.doctor.models import Finding, Skip


def test_an_answer_is_compared_with_the_middle_of_question_and_answer() -> None:
    times = iter([100.0, 104.0])
    assert measure("database", lambda: 105.0, now=lambda: next(times)) == Skew("database", 3.0, 2.0)


@pytest.mark.parametrize(
    ("seconds", "uncertainty_s", "severity"),
    [
        (0.2, 0.0, "ok"),
        (-0.9, 0.0, "ok"),
        (1.5, 0.0, "warning"),
        (1.5, 1.0, "ok"),
        (-9.0, 0.0, "warning"),
        (11.0, 0.0, "error"),
        (-11.0, 2.0, "warning"),
    ],
)
def test_a_skew_is_judged_by_what_it_is_at_least(seconds: float, uncertainty_s: float, severity: str) -> None:
    found = judge(Skew("database", seconds, uncertainty_s), 10.0)
    assert found.severity == severity
    direction = "ahead of" if seconds > 0 else "behind"
    assert f"{abs(seconds):.2f} s {direction} this machine" in found.evidence


def test_the_database_is_asked_within_airflow_and_the_leeway_is_the_configured_one() -> None:
    configuration = Fact.of(FakeConfiguration(**{"api_auth.jwt_leeway": "60"}))
    context = CheckContext(configuration=configuration, database_time=Fact.of(lambda: 0.0))
    (found,) = CLOCK.run(context)
    assert isinstance(found, Finding)
    assert (found.severity, found.subject) == ("error", "metadata database")
    assert "[api_auth] jwt_leeway (60 s)" in found.evidence


def test_outside_the_api_servers_date_is_taken() -> None:
    health = AirflowHealth("http://a", "healthy", {}, 1_000_000.0, 0.2, 1_000_007.5)
    (found,) = CLOCK.run(CheckContext(health=Fact.of(health)))
    assert isinstance(found, Finding)
    assert (found.severity, found.subject) == ("warning", "API server")
    assert found.evidence.startswith("7.00 s behind this machine, give or take 0.60 s")


def test_without_any_clock_it_is_skipped() -> None:
    assert all(isinstance(item, Skip) for item in CLOCK.run(CheckContext()))
    silent = AirflowHealth("http://a", "healthy", {}, None, 0.2, 0.0)
    (found,) = CLOCK.run(replace(CheckContext(), health=Fact.of(silent)))
    assert found == Skip("http://a does not say what time it is")
