from __future__ import annotations

import advisor_reports
import pytest
from advisor_reports import task_times

from airflow_provider_aiopt.simulation.overheads import airflow_service
from airflow_provider_aiopt.telemetry.reports import RunReport, TaskTimes


def run(*times: TaskTimes, queued_s: float | None = None) -> RunReport:
    return advisor_reports.healthy().model_copy(update={"task_times": times, "queued_s": queued_s})


def mapped(index: int, scheduled: float, queued: float, started: float, ended: float) -> TaskTimes:
    times = task_times("work", queued, started, ended, index=index)
    return times.model_copy(update={"scheduled_at": task_times("work", scheduled, 0, 0).scheduled_at})


def test_a_step_waits_for_the_loop_that_finds_it_runnable() -> None:
    first, second = task_times("first", 0.0, 0.05, 1.0), task_times("second", 1.3, 1.35, 2.0)

    found = airflow_service([run(first, second)])

    assert found.loop_s.values == pytest.approx((0.3,))
    assert found.hand_over_s.values == pytest.approx((0.05, 0.05))


def test_a_slot_waits_for_the_loop_that_gives_it_away() -> None:
    # Both are runnable from the start; the second gets the slot of the first.
    found = airflow_service([run(mapped(0, 0.0, 0.0, 0.1, 2.0), mapped(1, 0.0, 2.25, 2.3, 4.0))])

    assert found.loop_s.values == pytest.approx((0.25,))


def test_tasks_of_one_loop_start_one_after_the_other() -> None:
    together = [mapped(index, 0.0, 0.0, 0.1 + 0.04 * index, 3.0) for index in range(4)]

    found = airflow_service([run(*together, task_times("last", 3.2, 3.3, 4.0))])

    assert found.launch_s == pytest.approx(0.04)
    assert found.hand_over_s.values == pytest.approx((0.1, 0.1))


def test_a_run_that_waited_for_another_says_nothing_of_the_scheduler() -> None:
    times = [task_times("first", 0.0, 0.05, 1.0), task_times("second", 1.3, 1.35, 2.0)]

    runs = [run(*times, queued_s=waited) for waited in (0.2, 0.3, 40.0)]

    assert airflow_service(runs).run_start_s.values == (0.2, 0.3)


@pytest.mark.parametrize(
    "times",
    [(), (task_times("only", 0.0, 0.05, 1.0),), (TaskTimes(task_id="queued"), TaskTimes(task_id="too"))],
)
def test_without_times_there_are_estimates(times: tuple[TaskTimes, ...]) -> None:
    found = airflow_service([run(*times)])

    assert not found.measured
    assert found.loop_s.mean == 0.5
