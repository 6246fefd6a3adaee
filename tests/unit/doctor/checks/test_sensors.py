from __future__ import annotations

import pytest
from deployments import FakeConfiguration

from airflow_provider_aiopt.doctor.checks.sensors import SENSORS, Room, judge
from airflow_provider_aiopt.doctor.context import CheckContext, Fact
from airflow_provider_aiopt.doctor.dags import DagFacts, TaskFacts
from airflow_provider_aiopt.doctor.models import Finding
from airflow_provider_aiopt.telemetry.airflow_api import AirflowPool

SENSOR = TaskFacts("wait", "FileSensor", "io", pokes=True)
STARTS = TaskFacts("start", "TriggerDagRunOperator", pokes=True, awaits="other", starts=True)


def findings(
    *tasks: TaskFacts, runs: int | None = 4, slots: int = 16, deferred: bool = False, room: Room | None = None
) -> list[Finding]:
    pools = {"io": AirflowPool("io", slots, include_deferred=deferred)}
    return list(judge([DagFacts("d", runs, 16, tasks)], pools, room or Room()))


def test_sensors_that_leave_room() -> None:
    (found,) = findings(SENSOR)
    assert (found.severity, found.evidence) == (
        "ok",
        "1 tasks may hold a slot while they wait, at most 4 at once; [core] parallelism is 32",
    )


@pytest.mark.parametrize(
    ("runs", "slots", "severity"), [(4, 5, "ok"), (4, 4, "warning"), (None, 1, "warning")]
)
def test_sensors_that_can_fill_their_pool(runs: int | None, slots: int, severity: str) -> None:
    (found,) = findings(SENSOR, runs=runs, slots=slots)
    assert found.severity == severity
    if severity == "warning":
        assert found.subject == "pool io"
        assert "1 tasks (d.wait) may hold" in found.evidence
        assert "mode='reschedule' or deferrable=True" in found.remedy


def test_slots_that_a_sensor_takes_are_counted() -> None:
    (found,) = findings(TaskFacts("wait", "FileSensor", "io", 2, pokes=True), slots=8)
    assert "may hold 8 of them" in found.evidence


def test_deferring_does_not_help_in_a_pool_that_counts_deferred_tasks() -> None:
    deferrable = Room(deferrable=True)
    assert findings(SENSOR, slots=4, room=deferrable)[0].severity == "ok"
    (found,) = findings(SENSOR, slots=4, deferred=True, room=deferrable)
    assert "since it counts deferred tasks too" in found.evidence
    assert "a pool without include_deferred" in found.remedy


def test_sensors_that_can_fill_all_workers() -> None:
    (found,) = findings(SENSOR, room=Room(parallelism=4))
    assert (found.severity, found.subject) == ("warning", "[core] parallelism")
    assert findings(SENSOR, room=Room(parallelism=5))[0].severity == "ok"


def test_tasks_that_wait_for_runs_that_find_no_slot_left() -> None:
    (found,) = findings(STARTS, room=Room(parallelism=4))
    assert (found.severity, found.subject) == ("error", "[core] parallelism")
    assert "whose tasks then never start" in found.evidence


def test_the_configuration_says_how_much_room_there_is() -> None:
    configuration = FakeConfiguration(**{"core.parallelism": "4", "operators.default_deferrable": "False"})
    dags = [DagFacts("d", 4, 16, (SENSOR,))]
    context = CheckContext(dags=Fact.of(dags), configuration=Fact.of(configuration))
    (found,) = SENSORS.run(context)
    assert isinstance(found, Finding)
    assert found.severity == "warning"
    assert Room.of(FakeConfiguration(**{"operators.default_deferrable": "True"})).deferrable
