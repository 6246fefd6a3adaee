"""What some runs at once would take in a configuration, and what holds them up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from airflow_provider_aiopt.simulation.configuration import Configuration
from airflow_provider_aiopt.simulation.engine import simulate
from airflow_provider_aiopt.simulation.estimates import Estimate, estimate, quantile
from airflow_provider_aiopt.simulation.service import Calibration
from airflow_provider_aiopt.simulation.trace import Arrival, Trace

REPETITIONS = 20
_LEAST_GAIN = 1.03
_RELIEFS = {
    "cores": "cores",
    "workers": "workers",
    "pool_slots": "pool slots",
    "cpu_pool_slots": "slots of the other tasks' pool",
    "active_tasks": "active tasks",
    "active_runs": "active runs",
    "gpus": "GPUs",
}


@dataclass(frozen=True, slots=True)
class Prices:
    """What machines cost, in any currency.

    :param machine_hour: a machine with its workers, for an hour
    :param gpu_hour: a GPU, for an hour
    """

    machine_hour: float = 0.0
    gpu_hour: float = 0.0

    def per_hour(self, configuration: Configuration) -> float:
        """Return what all of a configuration costs in an hour.

        :param configuration: the configuration
        """
        return configuration.machines * self.machine_hour + configuration.gpus * self.gpu_hour


@dataclass(frozen=True, slots=True)
class Limit:
    """What holds a configuration up most.

    :param name: the resource; ``steps`` where twice of any would hardly help: what is left are start-up, the
        scheduler's loop, and tasks that wait for the one before them
    :param gain: makespan over that with twice of the resource
    """

    name: str
    gain: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """What runs that are created together would take.

    :param configuration: what was simulated
    :param runs: how many runs
    :param items: records of each
    :param makespan_s: from their creation to the last one's end
    :param queue_p50_s: median time that a task, once runnable, waited to start
    :param queue_p95_s: 95 % waited at most so long
    :param queue_max_s: the longest
    :param worker_share: share of the workers that had a task, 0 to 1
    :param core_share: share of the cores' time that tasks used
    :param gpu_share: share of the GPUs' time in which they computed; None without
    :param cost: of the machines and GPUs while the runs last
    :param limit: what holds them up; None where that was not asked
    """

    configuration: Configuration
    runs: int
    items: int
    makespan_s: Estimate
    queue_p50_s: float
    queue_p95_s: float
    queue_max_s: float
    worker_share: float
    core_share: float
    gpu_share: float | None
    cost: float
    limit: Limit | None = None


def predict(
    calibration: Calibration,
    configuration: Configuration,
    *,
    runs: int = 1,
    items: int | None = None,
    repetitions: int = REPETITIONS,
    seed: int = 0,
    prices: Prices | None = None,
    explain: bool = True,
) -> Prediction:
    """Simulate runs that are created at the same time.

    :param calibration: the measured pipeline
    :param configuration: what there would be for it
    :param runs: how many
    :param items: records of each; None: as measured
    :param repetitions: simulations, each with draws of its own
    :param seed: of all draws
    :param prices: of machines and GPUs
    :param explain: whether to look for what holds them up, by as many simulations again for each resource
    :raises MissingExtraError: if SimPy is not installed
    """
    arrivals = [Arrival(0.0, items or calibration.items)] * runs
    traces = _repeat(calibration, configuration, arrivals, repetitions, seed)
    makespan = estimate([trace.makespan_s for trace in traces])
    queues = [task.queue_s for trace in traces for task in trace.tasks]
    limit = None
    if explain:
        limit = _limit(
            calibration,
            configuration,
            arrivals,
            repetitions=repetitions,
            seed=seed,
            makespan_s=makespan.mean,
        )
    return Prediction(
        configuration=configuration,
        runs=runs,
        items=items or calibration.items,
        makespan_s=makespan,
        queue_p50_s=quantile(queues, 0.5),
        queue_p95_s=quantile(queues, 0.95),
        queue_max_s=max(queues),
        worker_share=mean(map(worker_share, traces)),
        core_share=mean(map(core_share, traces)),
        gpu_share=mean(map(gpu_share, traces)) if configuration.gpus else None,
        cost=(prices or Prices()).per_hour(configuration) * makespan.mean / 3600,
        limit=limit,
    )


def worker_share(trace: Trace) -> float:
    """Return the share of the workers' time in which they had a task.

    :param trace: a simulation
    """
    slots = trace.configuration.machines * trace.configuration.workers
    held_s = sum(min(task.ended_s, trace.until_s) - task.started_s for task in trace.tasks)
    return held_s / (slots * trace.until_s) if trace.until_s else 0.0


def core_share(trace: Trace) -> float:
    """Return the share of the cores' time that tasks used.

    :param trace: a simulation
    """
    cores = trace.configuration.machines * trace.configuration.cores
    return sum(trace.cpu_busy_s) / (cores * trace.until_s) if trace.until_s else 0.0


def gpu_share(trace: Trace) -> float:
    """Return the share of the GPUs' time in which they computed, 0 without any.

    :param trace: a simulation
    """
    seconds = trace.configuration.gpus * trace.until_s
    return sum(task.gpu_busy_s for task in trace.tasks) / seconds if seconds else 0.0


def _limit(
    calibration: Calibration,
    configuration: Configuration,
    arrivals: Sequence[Arrival],
    *,
    repetitions: int,
    seed: int,
    makespan_s: float,
) -> Limit:
    gains = {}
    for field, name in _RELIEFS.items():
        if value := getattr(configuration, field):
            relieved = configuration.model_copy(update={field: 2 * value})
            traces = _repeat(calibration, relieved, arrivals, repetitions, seed)
            gains[name] = makespan_s / mean(trace.makespan_s for trace in traces)
    name, gain = max(gains.items(), key=lambda item: item[1])
    return Limit(name, gain) if gain >= _LEAST_GAIN else Limit("steps", gain)


def _repeat(
    calibration: Calibration,
    configuration: Configuration,
    arrivals: Sequence[Arrival],
    repetitions: int,
    seed: int,
) -> list[Trace]:
    return [
        simulate(calibration, configuration, arrivals, seed=f"{seed}/{number}")
        for number in range(repetitions)
    ]
