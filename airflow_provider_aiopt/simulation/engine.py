"""The discrete-event model of a pipeline in Airflow."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Generator, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.exceptions import MissingExtraError
from airflow_provider_aiopt.simulation.configuration import Configuration
from airflow_provider_aiopt.simulation.processors import SharedCores
from airflow_provider_aiopt.simulation.service import Calibration, StepService
from airflow_provider_aiopt.simulation.slots import Slots
from airflow_provider_aiopt.simulation.trace import Arrival, RunTrace, TaskTrace, Trace

if TYPE_CHECKING:
    from simpy import Environment, Event

_Steps = Generator[Any, Any, None]


def simulate(
    calibration: Calibration,
    configuration: Configuration,
    arrivals: Sequence[Arrival],
    *,
    seed: int | str = 0,
    until_s: float = inf,
    sharing: bool = True,
) -> Trace:
    """Let runs arrive and pass the pipeline.

    The same arguments give the same trace.  What a task takes is drawn from its run, step and shard alone, so
    that configurations are compared on the same draws.

    :param calibration: what tasks take
    :param configuration: what there is for them
    :param arrivals: the runs, in the order of time
    :param seed: of all draws
    :param until_s: when to stop, whatever has not ended by then
    :param sharing: False: tasks do not share cores
    :raises MissingExtraError: if SimPy is not installed
    """
    return _Simulation(calibration, configuration, seed, sharing=sharing).run(arrivals, until_s)


class _Simulation:
    def __init__(
        self, calibration: Calibration, configuration: Configuration, seed: int | str, *, sharing: bool
    ) -> None:
        self._environment = _environment()
        self._calibration = calibration
        self._configuration = configuration
        self._seed = seed
        self._slots = Slots(configuration, calibration.steps)
        self._machines = [
            SharedCores(
                self._environment,
                configuration.cores,
                services=calibration.services,
                neighbours=calibration.neighbours,
                sharing=sharing,
            )
            for _ in range(configuration.machines)
        ]
        self._active_runs = 0
        self._queued_runs: deque[int] = deque()
        self._runs: list[RunTrace] = []
        self._tasks: list[TaskTrace] = []
        self._ended: dict[tuple[int, int], Event] = {}
        self._left: dict[tuple[int, int], int] = {}
        self._last_start_s = -inf

    def run(self, arrivals: Sequence[Arrival], until_s: float) -> Trace:
        for number, arrival in enumerate(arrivals):
            self._runs.append(RunTrace(arrival.at_s, arrival.items))
            self._environment.process(self._arrive(number, arrival))
        self._environment.run(until=None if until_s == inf else until_s)
        for cores in self._machines:
            cores.settle()
        busy_s = tuple(cores.busy_s for cores in self._machines)
        return Trace(
            self._configuration, tuple(self._runs), tuple(self._tasks), busy_s, float(self._environment.now)
        )

    def _arrive(self, number: int, arrival: Arrival) -> _Steps:
        yield self._environment.timeout(arrival.at_s)
        chance = self._chance(number, "run")
        yield self._environment.timeout(self._calibration.airflow.run_start_s.draw(chance))
        self._queued_runs.append(number)
        self._begin_runs()

    def _begin_runs(self) -> None:
        while self._queued_runs and self._active_runs < self._configuration.active_runs:
            self._active_runs += 1
            self._environment.process(self._pass(self._queued_runs.popleft()))

    def _pass(self, number: int) -> _Steps:
        """Pass a run through its steps."""
        run, chance = self._runs[number], self._chance(number, "loop")
        run.begun_s = self._environment.now
        for step, service in enumerate(self._calibration.steps):
            if step:
                yield self._loop(chance)
            shards = min(self._configuration.shards, run.items) if service.mapped else 1
            # All of them at once: a step's tasks are mapped over what the whole step before it returned.
            key, done = (number, step), self._environment.event()
            self._ended[key], self._left[key] = done, shards
            for shard in range(shards):
                task = TaskTrace(number, step, shard, run.items / shards, ready_s=self._environment.now)
                self._slots.wait(task)
            self._start_tasks()
            yield done
            del self._ended[key], self._left[key]
        yield self._loop(chance)
        run.ended_s = self._environment.now
        # Only the scheduler's next loop begins the run that waited for this one.
        yield self._loop(chance)
        self._active_runs -= 1
        self._begin_runs()

    def _start_tasks(self) -> None:
        for task, machine in self._slots.take():
            self._environment.process(self._perform(task, machine))

    def _perform(self, task: TaskTrace, machine: int) -> _Steps:
        airflow, service = self._calibration.airflow, self._calibration.steps[task.step]
        chance = self._chance(task.run, f"{task.step}/{task.shard}")
        earliest_s = self._environment.now + airflow.hand_over_s.draw(chance)
        # The executor starts tasks one after the other.
        self._last_start_s = max(earliest_s, self._last_start_s + airflow.launch_s)
        yield self._environment.timeout(self._last_start_s - self._environment.now)
        task.started_s = self._environment.now
        self._tasks.append(task)
        yield from self._work(task, service, self._machines[machine], chance)
        task.ended_s = self._environment.now
        key = (task.run, task.step)
        self._left[key] -= 1
        if not self._left[key]:
            self._ended[key].succeed()
        self._slots.release(task, machine)
        # The scheduler's next loop gives the slot away, whatever made it turn.
        yield self._loop(chance)
        self._start_tasks()

    def _work(
        self, task: TaskTrace, service: StepService, cores: SharedCores, chance: random.Random
    ) -> _Steps:
        yield cores.work(service.start_up_cpu_s.draw(chance), 1.0)
        yield cores.work(service.setup_cpu_s.draw(chance), 1.0)
        shards = 1 if service.mapped else self._configuration.shards
        variation = service.variation.draw(chance)
        waits_s = service.setup_wait_s + task.items * service.wait_s_per_item * variation
        began_s = self._environment.now
        yield self._environment.timeout(waits_s + shards * service.shard_wait_s)
        yield cores.work(task.items * service.cpu_s_per_item * variation, service.width)
        task.gpu_busy_s = service.gpu_share * (self._environment.now - began_s)
        yield cores.work(service.ending_cpu_s.draw(chance), 1.0)

    def _loop(self, chance: random.Random) -> Event:
        return self._environment.timeout(self._calibration.airflow.loop_s.draw(chance))

    def _chance(self, run: int, purpose: str) -> random.Random:
        return random.Random(f"{self._seed}/{run}/{purpose}")  # noqa: S311 - nothing secret


def _environment() -> Environment:
    try:
        import simpy
    except ImportError as error:
        raise MissingExtraError("simpy", "simulation", "Simulating a pipeline") from error
    return simpy.Environment()
