from __future__ import annotations

from simulated import ABUNDANT, step

from airflow_provider_aiopt.simulation.configuration import Configuration
from airflow_provider_aiopt.simulation.slots import Slots
from airflow_provider_aiopt.simulation.trace import TaskTrace

STEPS = (step("read", model=False), step("infer"))


def started(slots: Slots) -> list[tuple[int, int, int]]:
    return [(task.run, task.step, task.shard) for task, _ in slots.take()]


def waiting(configuration: Configuration, *tasks: tuple[int, int, int]) -> Slots:
    slots = Slots(configuration, STEPS)
    for run, number, shard in tasks:
        slots.wait(TaskTrace(run, number, shard, 1.0))
    return slots


def test_earlier_steps_come_first_then_earlier_runs_then_earlier_shards() -> None:
    slots = waiting(ABUNDANT, (0, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 0))

    assert started(slots) == [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 1, 1)]


def test_a_full_pool_does_not_hold_up_the_other() -> None:
    slots = waiting(ABUNDANT.model_copy(update={"cpu_pool_slots": 1}), (0, 0, 0), (1, 0, 0), (0, 1, 0))

    assert started(slots) == [(0, 0, 0), (0, 1, 0)]


def test_a_run_has_no_more_than_its_active_tasks() -> None:
    slots = waiting(ABUNDANT.model_copy(update={"active_tasks": 1}), (0, 0, 0), (0, 0, 1), (1, 0, 0))

    assert started(slots) == [(0, 0, 0), (1, 0, 0)]


def test_what_is_released_is_taken_again() -> None:
    slots = waiting(ABUNDANT.model_copy(update={"workers": 1}), (0, 0, 0), (0, 0, 1))
    [(task, machine)] = slots.take()
    assert started(slots) == []

    slots.release(task, machine)

    assert started(slots) == [(0, 0, 1)]


def test_the_machine_with_most_free_workers_gets_the_task() -> None:
    two = ABUNDANT.model_copy(update={"machines": 2, "workers": 2})
    slots = waiting(two, (0, 0, 0), (0, 0, 1), (0, 0, 2))

    assert [machine for _, machine in slots.take()] == [0, 1, 0]


def test_gpus_and_pool_bound_the_model_together() -> None:
    tasks = [(0, 1, index) for index in range(4)]

    for gpus, pool_slots, expected in ((2, 8, 2), (8, 3, 3), (0, 1, 1)):
        configuration = ABUNDANT.model_copy(update={"gpus": gpus, "pool_slots": pool_slots})
        assert len(started(waiting(configuration, *tasks))) == expected
