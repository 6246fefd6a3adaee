"""Which waiting tasks may start: Airflow's limits, in Airflow's order."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from dataclasses import dataclass, field

from airflow_provider_aiopt.simulation.configuration import Configuration
from airflow_provider_aiopt.simulation.service import StepService
from airflow_provider_aiopt.simulation.trace import TaskTrace


@dataclass
class Slots:
    """The slots of workers, pools and runs.

    Tasks start in the order of Airflow's scheduler: those with most steps still before them first, which is
    what its weight rule ``downstream`` gives, then those of the earlier run, then those of the earlier shard.

    :param configuration: how many slots there are
    :param steps: the pipeline's steps
    """

    configuration: Configuration
    steps: tuple[StepService, ...]
    _free: list[int] = field(init=False)
    _pools: dict[bool, int] = field(init=False)
    _in_run: Counter[int] = field(default_factory=Counter, init=False)
    _waiting: list[list[tuple[int, int, TaskTrace]]] = field(init=False)

    def __post_init__(self) -> None:  # noqa: D105 - plain set-up
        self._free = [self.configuration.workers] * self.configuration.machines
        self._pools = {True: self.configuration.model_slots, False: self.configuration.cpu_pool_slots}
        self._waiting = [[] for _ in self.steps]

    def wait(self, task: TaskTrace) -> None:
        """Let a task wait for a slot."""
        insort(self._waiting[task.step], (task.run, task.shard, task), key=lambda entry: entry[:2])

    def take(self) -> list[tuple[TaskTrace, int]]:
        """Return the tasks that start now, each with its machine."""
        started: list[tuple[TaskTrace, int]] = []
        for step, waiting in enumerate(self._waiting):
            model, kept = self.steps[step].model, []
            for position, entry in enumerate(waiting):
                if not any(self._free) or not self._pools[model]:
                    kept += waiting[position:]
                    break
                task = entry[-1]
                if self._in_run[task.run] >= self.configuration.active_tasks:
                    kept.append(entry)
                    continue
                started.append((task, self._occupy(task, model)))
            self._waiting[step] = kept
        return started

    def release(self, task: TaskTrace, machine: int) -> None:
        """Give back what a task that has ended held."""
        self._free[machine] += 1
        self._pools[self.steps[task.step].model] += 1
        self._in_run[task.run] -= 1

    def _occupy(self, task: TaskTrace, model: bool) -> int:
        machine = max(range(len(self._free)), key=lambda index: (self._free[index], -index))
        self._free[machine] -= 1
        self._pools[model] -= 1
        self._in_run[task.run] += 1
        return machine
