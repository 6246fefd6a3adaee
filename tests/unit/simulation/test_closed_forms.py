"""The simulation beside queues whose answers are known in closed form.

Each tolerance is two to three standard errors of the mean for so many arrivals; the seeds are fixed.
"""

from __future__ import annotations

import math
from statistics import mean

import pytest
from simulated import ABUNDANT, EXPONENTIAL, calibration, mean_after, poisson, step

from airflow_provider_aiopt.simulation.configuration import Configuration
from airflow_provider_aiopt.simulation.engine import simulate
from airflow_provider_aiopt.simulation.service import Calibration, Empirical, constant
from airflow_provider_aiopt.simulation.trace import Arrival

ARRIVALS = 6_000
WARM_UP = 500
SEEDS = (2, 3)


def servers(count: int) -> Configuration:
    return ABUNDANT.model_copy(update={"workers": count})


def waits(known: Calibration, count: int, per_s: float) -> float:
    """Return the mean wait for a worker where each has a core of its own, over all seeds."""
    return mean(
        mean_after([task.queue_s for task in trace.tasks], WARM_UP)
        for seed in SEEDS
        for trace in [
            simulate(known, servers(count), poisson(per_s, ARRIVALS, seed=seed), seed=seed, sharing=False)
        ]
    )


def exponential(mean_s: float) -> Calibration:
    return calibration(step(cpu_s_per_item=mean_s, variation=EXPONENTIAL))


def erlang_c(count: int, offered: float) -> float:
    """Return the share of arrivals that wait (Erlang, 1917)."""
    last = offered**count / math.factorial(count) * count / (count - offered)
    return last / (sum(offered**number / math.factorial(number) for number in range(count)) + last)


def test_one_exponential_server() -> None:
    # M/M/1: Wq = rho / (mu - lambda)
    assert waits(exponential(1.0), 1, 0.6) == pytest.approx(0.6 / 0.4, rel=0.1)


@pytest.mark.parametrize(("count", "per_s"), [(2, 1.2), (4, 2.8)])
def test_several_exponential_servers(count: int, per_s: float) -> None:
    # M/M/c: Wq = C(c, a) / (c mu - lambda)
    expected = erlang_c(count, per_s) / (count - per_s)

    assert waits(exponential(1.0), count, per_s) == pytest.approx(expected, rel=0.1)


def test_one_constant_server() -> None:
    # M/D/1 by Pollaczek and Khinchine: half of what M/M/1 waits.
    known = calibration(step(cpu_s_per_item=1.0))

    assert waits(known, 1, 0.7) == pytest.approx(0.7 / (2 * 0.3), rel=0.08)


@pytest.mark.parametrize("variation", [constant(1.0), EXPONENTIAL], ids=["constant", "exponential"])
def test_processor_sharing_hangs_on_the_mean_alone(variation: Empirical) -> None:
    # M/G/1-PS: T = E[S] / (1 - rho), whatever the distribution (Kleinrock, 1967).
    known = calibration(step(cpu_s_per_item=1.0, variation=variation))

    trace = simulate(known, ABUNDANT, poisson(0.6, 2 * ARRIVALS))

    took = [run.ended_s - run.created_s for run in trace.runs]
    assert mean_after(took, WARM_UP) == pytest.approx(1 / 0.4, rel=0.08)


@pytest.mark.parametrize(("shards", "workers"), [(8, 1), (8, 3), (8, 8), (7, 2), (3, 16)])
def test_equal_tasks_run_in_waves(shards: int, workers: int) -> None:
    # D/D/c: ceil(n / c) waves (Graham, 1969)
    known = calibration(step(cpu_s_per_item=0.1, mapped=True))
    configuration = ABUNDANT.model_copy(update={"shards": shards, "workers": workers})

    trace = simulate(known, configuration, [Arrival(0.0, 10 * shards)], sharing=False)

    assert trace.makespan_s == pytest.approx(math.ceil(shards / workers))


def test_the_bottleneck_bounds_the_throughput() -> None:
    # X <= 1 / D_max (Denning and Buzen, 1978), reached by many runs at once: the slower step has one slot.
    slow, fast = step("slow", cpu_s_per_item=2.0), step("fast", cpu_s_per_item=0.5, model=False)
    configuration = ABUNDANT.model_copy(update={"pool_slots": 1})

    trace = simulate(calibration(fast, slow), configuration, [Arrival(0.0, 1)] * 200, sharing=False)

    assert trace.makespan_s == pytest.approx(200 * 2.0 + 0.5)


@pytest.mark.parametrize(("cores", "width", "tasks"), [(2, 1.0, 5), (2, 2.0, 3), (4, 1.7, 4), (3, 1.0, 2)])
def test_shared_cores_do_the_work_as_fast_as_they_can(cores: int, width: float, tasks: int) -> None:
    # T = max(W / w, n W / m): the bound that equal jobs which begin together reach.
    known = calibration(step(cpu_s_per_item=1.0, width=width, mapped=True))
    configuration = ABUNDANT.model_copy(update={"shards": tasks, "cores": cores})

    trace = simulate(known, configuration, [Arrival(0.0, 6 * tasks)])

    assert trace.makespan_s == pytest.approx(max(6 / width, tasks * 6 / cores))
    assert trace.cpu_busy_s == pytest.approx((6.0 * tasks,))
