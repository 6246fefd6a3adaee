"""What is asked of a simulation: a configuration, or a grid of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_aiopt.simulation.service import Calibration


class Configuration(BaseModel):
    """The settings that a run's time hangs on.

    :param shards: parts that a run's records are cut into
    :param machines: machines with workers
    :param workers: tasks that run at once on each machine: ``[core] parallelism`` of the LocalExecutor,
        ``[celery] worker_concurrency`` of Celery's
    :param cores: cores of each machine, which its workers share
    :param active_runs: ``max_active_runs``
    :param active_tasks: ``max_active_tasks`` of a run
    :param pool_slots: slots of the pool of the tasks that run the model
    :param cpu_pool_slots: slots of the pool of the others
    :param gpus: GPUs over all machines, of which each task that runs the model has one to itself; 0: none
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shards: int = Field(default=1, ge=1)
    machines: int = Field(default=1, ge=1)
    workers: int = Field(default=32, ge=1)
    cores: int = Field(default=1, ge=1)
    active_runs: int = Field(default=16, ge=1)
    active_tasks: int = Field(default=16, ge=1)
    pool_slots: int = Field(default=128, ge=1)
    cpu_pool_slots: int = Field(default=128, ge=1)
    gpus: int = Field(default=0, ge=0)

    @property
    def model_slots(self) -> int:
        """How many tasks may run the model at once."""
        return min(self.pool_slots, self.gpus) if self.gpus else self.pool_slots

    def label(self, keys: Sequence[str]) -> str:
        """Write the values of *keys* as on the command line.

        :param keys: names of fields
        """
        return ", ".join(f"{key.replace('_', '-')} {getattr(self, key)}" for key in keys)


def measured_configuration(calibration: Calibration) -> Configuration:
    """Return the configuration of the machine that was measured, with Airflow's defaults for limits.

    :param calibration: what was measured
    """
    return Configuration(shards=calibration.shards, cores=calibration.cores)


def grid(base: Configuration, values: Mapping[str, Sequence[Any]]) -> tuple[Configuration, ...]:
    """Return every combination of *values*, the last key changing fastest.

    :param base: what the others are
    :param values: one or more values by the name of a field
    :raises pydantic.ValidationError: if a value is not allowed
    """
    combinations = product(*values.values())
    fields = base.model_dump()
    return tuple(
        Configuration.model_validate(fields | dict(zip(values, combination, strict=True)))
        for combination in combinations
    )
