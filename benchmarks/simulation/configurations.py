"""The configurations that are predicted, and those that the service times are measured in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from airflow_provider_aiopt.simulation.configuration import Configuration

Mode = Literal["staged", "streaming"]

FREE_SLOTS = 64
"""Slots of a pool that is to bound nothing."""


@dataclass(frozen=True, order=True)
class Airflow:
    """What only a start of Airflow changes.

    :param parallelism: ``[core] parallelism``: the LocalExecutor's workers
    :param active_runs: ``max_active_runs`` of the DAGs
    """

    parallelism: int
    active_runs: int


@dataclass(frozen=True)
class Case:
    """Runs of one of the demonstration's DAGs that are created together.

    :param mode: which DAG
    :param airflow: which Airflow
    :param shards: parts of each run
    :param runs: how many
    :param pool_slots: slots of the pool of inference and of streaming
    :param cpu_pool_slots: slots of the pool of the other tasks
    """

    mode: Mode
    airflow: Airflow
    shards: int
    runs: int = 1
    pool_slots: int = FREE_SLOTS
    cpu_pool_slots: int = FREE_SLOTS

    @property
    def name(self) -> str:
        """The case in words."""
        pool = f", pool of {self.pool_slots}" if self.pool_slots < FREE_SLOTS else ""
        return (
            f"{self.mode}, {_count(self.runs, 'run')} of {_count(self.shards, 'shard')}, "
            f"{_count(self.airflow.parallelism, 'worker')}, {self.airflow.active_runs} active{pool}"
        )

    def configuration(self, cores: int) -> Configuration:
        """Return it for the simulation.

        :param cores: cores of this machine
        """
        return Configuration(
            shards=self.shards,
            workers=self.airflow.parallelism,
            cores=cores,
            active_runs=self.airflow.active_runs,
            pool_slots=self.pool_slots,
            cpu_pool_slots=self.cpu_pool_slots,
        )


WIDE = Airflow(parallelism=8, active_runs=4)
PAIR = Airflow(parallelism=2, active_runs=2)
SINGLE = Airflow(parallelism=1, active_runs=1)

CALIBRATION: tuple[Case, ...] = (
    Case("staged", WIDE, shards=2, pool_slots=1, cpu_pool_slots=1),
    Case("streaming", WIDE, shards=2, pool_slots=1, cpu_pool_slots=1),
)
"""One task at a time: the only ones that service times come from, and none of :data:`CASES`."""

CASES: tuple[Case, ...] = (
    Case("staged", WIDE, shards=1),
    Case("staged", WIDE, shards=4),
    Case("staged", WIDE, shards=8),
    Case("staged", WIDE, shards=4, pool_slots=1),
    Case("staged", WIDE, shards=2, runs=4),
    Case("streaming", WIDE, shards=1),
    Case("streaming", WIDE, shards=4),
    Case("streaming", WIDE, shards=8, pool_slots=1),
    Case("streaming", WIDE, shards=8, pool_slots=2),
    Case("streaming", WIDE, shards=2, runs=4),
    Case("staged", PAIR, shards=8),
    Case("staged", PAIR, shards=2, runs=3),
    Case("streaming", PAIR, shards=4),
    Case("streaming", PAIR, shards=2, runs=4),
    Case("staged", SINGLE, shards=4),
    Case("streaming", SINGLE, shards=2, runs=3),
)
"""What is predicted and then measured."""

QUICK = (CASES[1], CASES[6], CASES[8], CASES[9])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}"
