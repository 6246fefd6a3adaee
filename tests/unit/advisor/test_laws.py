from __future__ import annotations

import pytest

from airflow_provider_aiopt.advisor import laws


def test_utilisation_is_busy_time_over_the_servers_time() -> None:
    assert laws.utilisation(6, 4, 2) == 0.75
    assert laws.utilisation(6, 0) == 0


def test_little() -> None:
    assert laws.in_progress(30, 10) == 3
    assert laws.in_progress(30, 0) == 0


@pytest.mark.parametrize(
    ("tasks", "slots", "seconds"),
    [
        (6, 1, 30),  # one after the other
        (6, 2, 15),
        (6, 4, 14),  # two waves, in each of which two tasks share a core
        (6, 6, 9),  # 6 s of work for each of two cores, and the last one's wait
    ],
)
def test_makespan_of_tasks_of_five_seconds_and_two_of_them_work(
    tasks: int, slots: int, seconds: float
) -> None:
    assert laws.makespan_s(tasks, 5, 2, slots, cores=2) == seconds


def test_amdahl() -> None:
    assert laws.gain(10, 5) == 2
    assert laws.gain(10, 0) == 1
    assert laws.gain(10, -3) == 1
    assert laws.gain(0, 3) == 1
    assert laws.gain(10, 20) == pytest.approx(100)
