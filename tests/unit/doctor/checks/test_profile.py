from __future__ import annotations

import pytest
from deployments import FakeConfiguration

from airflow_provider_aiopt.deployment.profiles import PROFILES, load_profile
from airflow_provider_aiopt.doctor.checks.profile import PROFILE, judge
from airflow_provider_aiopt.doctor.context import CheckContext, Fact
from airflow_provider_aiopt.doctor.models import Finding, Skip


def findings(name: str, **changed: str | None) -> dict[str, Finding]:
    found = judge(FakeConfiguration(**changed), load_profile(name))
    return {finding.subject: finding for finding in found}


def values(name: str) -> dict[str, str | None]:
    return {item.setting.name: item.value for item in load_profile(name).settings}


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("executor", ["LocalExecutor", "CeleryExecutor,KubernetesExecutor"])
def test_a_configuration_by_the_profile_has_nothing_to_change(name: str, executor: str) -> None:
    assert findings(name, **values(name), **{"core.executor": executor}) == {}


def test_without_a_profile_nothing_is_compared() -> None:
    (found,) = PROFILE.run(CheckContext(configuration=Fact.of(FakeConfiguration())))
    assert isinstance(found, Skip)
    (found,) = PROFILE.run(CheckContext(profile=load_profile("low-latency")))
    assert isinstance(found, Skip)


def test_all_settings_as_the_profile_wants_them_are_said_to_be() -> None:
    configuration = Fact.of(FakeConfiguration(**values("throughput")))
    (found,) = PROFILE.run(CheckContext(configuration=configuration, profile=load_profile("throughput")))
    assert isinstance(found, Finding)
    assert (found.severity, found.subject) == ("ok", "throughput")


def test_a_difference_says_what_why_how_and_at_what_cost() -> None:
    changed = values("low-latency") | {"scheduler.scheduler_idle_sleep_time": "1"}
    (found,) = findings("low-latency", **changed).values()
    assert (found.severity, found.subject) == ("warning", "[scheduler] scheduler_idle_sleep_time")
    assert found.evidence.startswith("1; low-latency wants 0.05 or less. A run or task that becomes ready")
    assert found.remedy.startswith("Set AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME=0.05. Cost: The idle")


@pytest.mark.parametrize(("value", "shown"), [(None, "not set"), ("", "not set"), ("soon", "soon")])
def test_a_value_that_is_missing_or_none_differs(value: str | None, shown: str) -> None:
    changed = values("low-latency") | {"scheduler.scheduler_idle_sleep_time": value}
    (found,) = findings("low-latency", **changed).values()
    assert found.evidence.startswith(f"{shown}; low-latency wants")


def test_what_only_a_newer_airflow_heeds_says_so() -> None:
    found = findings("low-latency", **values("low-latency") | {"core.mp_start_method": None})
    assert "from Airflow 3.3 on" in found["[core] mp_start_method"].evidence


def test_settings_of_executors_that_are_not_in_use_are_left_out() -> None:
    name = "[celery] worker_concurrency"
    assert name not in findings("small-machine", **{"celery.worker_concurrency": "16"})
    celery = {"celery.worker_concurrency": "16", "core.executor": "CeleryExecutor"}
    assert name in findings("small-machine", **celery)
