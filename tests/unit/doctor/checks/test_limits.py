from __future__ import annotations

import pytest
from deployments import FakeConfiguration

from airflow_provider_aiopt.doctor.checks.limits import LIMITS, judge
from airflow_provider_aiopt.doctor.context import CheckContext, Fact
from airflow_provider_aiopt.doctor.models import Finding, Skip


def findings(**changed: str | None) -> list[Finding]:
    return list(judge(FakeConfiguration(**changed)))


def test_the_defaults_are_fine() -> None:
    assert findings() == []
    (found,) = LIMITS.run(CheckContext(configuration=Fact.of(FakeConfiguration())))
    assert isinstance(found, Finding)
    assert (found.severity, found.evidence.partition(",")[0]) == ("ok", "[core] parallelism 32")


def test_without_a_configuration_it_is_skipped() -> None:
    (found,) = LIMITS.run(CheckContext())
    assert isinstance(found, Skip)
    assert "give --airflow-url" in found.reason


@pytest.mark.parametrize(
    "name", ["core.parallelism", "core.max_active_tasks_per_dag", "core.max_active_runs_per_dag"]
)
def test_a_limit_of_none_at_all(name: str) -> None:
    (found,) = findings(**{name: "0"})
    section, _, key = name.partition(".")
    assert (found.severity, found.subject) == ("error", f"[{section}] {key}")
    assert found.remedy == "Set it to 1 or more"


@pytest.mark.parametrize(
    ("changed", "evidence"),
    [
        ({"aiopt.max_active_runs": "0"}, "max_active_runs must be a whole number of at least 1; found '0'"),
        ({"aiopt.gpu_pool_slots": "1", "aiopt.gpus_per_task": "2"}, "would wait for ever"),
        (
            {"aiopt.cpu_pool": "gpus", "aiopt.cpu_pool_slots": "1", "aiopt.gpu_pool_slots": "2"},
            "both 1 slots",
        ),
        ({"aiopt.shards": None}, "has no [aiopt] shards"),
    ],
)
def test_options_with_which_the_templates_cannot_be_parsed(
    changed: dict[str, str | None], evidence: str
) -> None:
    (found,) = findings(**changed)
    assert (found.severity, found.subject) == ("error", "[aiopt]")
    assert evidence in found.evidence


def test_more_shards_than_airflow_maps() -> None:
    (found,) = findings(**{"core.max_map_length": "32"})
    assert (found.severity, found.subject) == ("error", "[aiopt] max_shards")
    assert "64, but [core] max_map_length lets a task be mapped 32 times" in found.evidence
    assert findings(**{"core.max_map_length": "64"}) == []


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"aiopt.shards": "17"}, "[core] max_active_tasks_per_dag"),
        ({"aiopt.shards": "9", "aiopt.max_active_tasks": "8"}, "[aiopt] max_active_tasks"),
        ({"aiopt.shards": "9", "core.parallelism": "8"}, "[core] parallelism"),
    ],
)
def test_more_shards_than_may_be_active(changed: dict[str, str | None], name: str) -> None:
    (found,) = findings(**changed)
    assert (found.severity, found.subject) == ("note", "[aiopt] shards")
    assert name in found.evidence
    assert name in found.remedy


def test_a_limit_of_the_templates_comes_before_airflows() -> None:
    assert findings(**{"aiopt.shards": "17", "aiopt.max_active_tasks": "17"}) == []


def test_what_is_not_known_is_not_judged() -> None:
    assert findings(**{"core.parallelism": None, "core.max_map_length": "many"}) == []
