"""Pipelines to simulate whose service times are known exactly."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from airflow_provider_aiopt.simulation.configuration import Configuration
from airflow_provider_aiopt.simulation.service import (
    AirflowService,
    Calibration,
    Empirical,
    StepService,
    constant,
)
from airflow_provider_aiopt.simulation.trace import Arrival

NOTHING = constant(0.0)
INSTANT = AirflowService(
    run_start_s=NOTHING, loop_s=NOTHING, hand_over_s=NOTHING, launch_s=0.0, measured=True
)
"""An Airflow that takes no time."""

EXPONENTIAL = Empirical(values=tuple(-math.log1p(-(rank + 0.5) / 20_000) for rank in range(20_000)))
"""The quantiles of the exponential distribution of mean 1, which draws from it hardly differ from."""

ABUNDANT = Configuration(
    workers=10_000, cores=1, active_runs=10_000, active_tasks=10_000, pool_slots=10_000, cpu_pool_slots=10_000
)
"""No limit but the cores."""


def step(name: str = "work", **fields: object) -> StepService:
    """Return a step of one task that does nothing but what *fields* say."""
    usual = {
        "name": name,
        "stages": ("inference",),
        "mapped": False,
        "model": True,
        "start_up_cpu_s": NOTHING,
        "setup_cpu_s": NOTHING,
        "cpu_s_per_item": 0.0,
        "ending_cpu_s": NOTHING,
    }
    return StepService.model_validate(usual | fields)


def calibration(*steps: StepService, airflow: AirflowService = INSTANT, **fields: object) -> Calibration:
    """Return a pipeline of *steps*."""
    usual = {
        "pipeline": "known",
        "mode": "staged",
        "steps": steps,
        "airflow": airflow,
        "items": 100,
        "shards": 1,
        "cores": 2,
        "runs": 1,
        "tasks": len(steps),
    }
    return Calibration.model_validate(usual | fields)


def poisson(per_s: float, count: int, *, seed: int = 1) -> list[Arrival]:
    """Return the first runs of one record each that arrive independently of each other."""
    chance, at_s, found = random.Random(seed), 0.0, []
    for _ in range(count):
        at_s += chance.expovariate(per_s)
        found.append(Arrival(at_s, 1))
    return found


def mean_after(values: Sequence[float], warm_up: int) -> float:
    """Return the mean without the first *warm_up* values."""
    return sum(values[warm_up:]) / (len(values) - warm_up)
