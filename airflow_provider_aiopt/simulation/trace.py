"""What a simulation saw: its runs and tasks, and how busy everything was."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from airflow_provider_aiopt.simulation.configuration import Configuration


@dataclass(frozen=True, slots=True)
class Arrival:
    """The creation of a run.

    :param at_s: when
    :param items: records of it
    """

    at_s: float
    items: int


@dataclass(slots=True)
class TaskTrace:
    """One task.

    :param run: number of its run, in the order of creation
    :param step: number of its step
    :param shard: number of its shard
    :param items: records that it works on
    :param ready_s: when the scheduler found it runnable
    :param started_s: when a worker began it
    :param ended_s: when it ended
    :param gpu_busy_s: how long its GPU computed
    """

    run: int
    step: int
    shard: int
    items: float
    ready_s: float = inf
    started_s: float = inf
    ended_s: float = inf
    gpu_busy_s: float = 0.0

    @property
    def queue_s(self) -> float:
        """How long it waited for a worker."""
        return self.started_s - self.ready_s


@dataclass(slots=True)
class RunTrace:
    """One run.

    :param created_s: when it was created
    :param items: records of it
    :param begun_s: when the scheduler began it
    :param ended_s: when the scheduler saw that its last task had ended; infinite where it had not
    """

    created_s: float
    items: int
    begun_s: float = inf
    ended_s: float = inf


@dataclass(frozen=True, slots=True)
class Trace:
    """One simulation.

    :param configuration: what was simulated
    :param runs: in the order of creation
    :param tasks: in the order of their starts
    :param cpu_busy_s: core-seconds that tasks used on each machine
    :param until_s: when it ended
    """

    configuration: Configuration
    runs: tuple[RunTrace, ...]
    tasks: tuple[TaskTrace, ...]
    cpu_busy_s: tuple[float, ...]
    until_s: float

    @property
    def makespan_s(self) -> float:
        """From the first run's creation to the last run's end; infinite where one did not end."""
        first = min(run.created_s for run in self.runs)
        return max(run.ended_s for run in self.runs) - first
