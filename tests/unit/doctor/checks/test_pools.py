from __future__ import annotations

import pytest
from deployments import FakeConfiguration

from airflow_provider_aiopt.doctor.checks.pools import POOLS
from airflow_provider_aiopt.doctor.context import CheckContext, Fact, unknown
from airflow_provider_aiopt.doctor.models import Finding, Skip
from airflow_provider_aiopt.exceptions import AirflowApiError
from airflow_provider_aiopt.telemetry.airflow_api import AirflowPool

DEFAULT = AirflowPool("default_pool", 128, include_deferred=False)
GPUS = AirflowPool("gpus", 4, include_deferred=True)


def findings(*pools: AirflowPool, **changed: str | None) -> list[Finding]:
    found = POOLS.run(context(*pools, **changed))
    return [item for item in found if isinstance(item, Finding) and item.severity != "ok"]


def context(*pools: AirflowPool, **changed: str | None) -> CheckContext:
    return CheckContext(
        configuration=Fact.of(FakeConfiguration(**changed)),
        pools=Fact.of({pool.name: pool for pool in pools}),
    )


def test_airflows_own_pool_does_for_the_defaults() -> None:
    assert findings(DEFAULT) == []
    (found,) = POOLS.run(context(DEFAULT))
    assert isinstance(found, Finding)
    assert found.evidence == "has 128 slots, and a task of the templates takes 1"


def test_pools_as_they_should_be() -> None:
    assert findings(DEFAULT, GPUS, **{"aiopt.gpu_pool_slots": "4", "aiopt.gpus_per_task": "4"}) == []


def test_a_missing_pool_that_the_setup_can_make() -> None:
    (found,) = findings(DEFAULT, **{"aiopt.gpu_pool_slots": "4"})
    assert (found.severity, found.subject, found.remedy) == ("error", "pool gpus", "Run: aiopt setup")
    assert "does not exist: Airflow never starts" in found.evidence


def test_a_missing_pool_that_nobody_gave_a_size() -> None:
    (found,) = findings(DEFAULT, **{"aiopt.cpu_pool": "small"})
    assert found.remedy == "Set [aiopt] cpu_pool_slots and run: aiopt setup"


@pytest.mark.parametrize("slots", [0, 1])
def test_a_pool_that_is_smaller_than_a_task(slots: int) -> None:
    small = AirflowPool("gpus", slots, include_deferred=True)
    (found,) = findings(DEFAULT, small, **{"aiopt.gpu_pool_slots": "4", "aiopt.gpus_per_task": "2"})
    assert (found.severity, found.remedy) == ("error", "Run: aiopt setup")
    assert f"has {slots} slots, and a task takes 2: it waits for ever" in found.evidence


def test_a_pool_of_somebody_elses_without_slots() -> None:
    (found,) = findings(AirflowPool("default_pool", 0, include_deferred=False))
    assert found.severity == "error"
    assert found.remedy == "Give it more slots, or set [aiopt] cpu_pool_slots and run: aiopt setup"


def test_a_pool_without_a_limit_has_room_for_every_task() -> None:
    assert findings(AirflowPool("default_pool", -1, include_deferred=False)) == []


def test_a_pool_with_other_slots_or_without_deferred_tasks() -> None:
    other = AirflowPool("gpus", 8, include_deferred=False)
    (found,) = findings(DEFAULT, other, **{"aiopt.gpu_pool_slots": "4"})
    assert (found.severity, found.remedy) == ("warning", "Run: aiopt setup")
    assert found.evidence == (
        "has 8 slots; [aiopt] gpu_pool_slots says 4, and does not count deferred tasks: more of them may run "
        "than it has slots"
    )


def test_options_that_are_wrong_are_the_limits_checks_business() -> None:
    assert list(POOLS.run(context(DEFAULT, **{"aiopt.shards": "none"}))) == [
        Skip("the [aiopt] options are wrong: see the check 'limits'")
    ]


def test_pools_that_could_not_be_read() -> None:
    def refuse() -> dict[str, AirflowPool]:
        raise AirflowApiError("answered HTTP 401", 401)

    configuration = Fact.of(FakeConfiguration())
    nobody_asked = CheckContext(configuration=configuration, pools=unknown("because"))
    assert list(POOLS.run(nobody_asked)) == [Skip("because")]
    refused = CheckContext(configuration=configuration, pools=Fact(refuse))
    assert list(POOLS.run(refused)) == [Skip("answered HTTP 401", unanswered=True)]
    assert list(POOLS.run(CheckContext())) == [CheckContext().configuration.get()]
