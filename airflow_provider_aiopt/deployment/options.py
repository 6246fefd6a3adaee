"""The ``[aiopt]`` options that bound how much runs at once, read and checked together.

DAG files read them at every parse: nothing heavy may be imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_aiopt.exceptions import ConfigurationError

DEFAULT_POOL = "default_pool"
"""The pool that Airflow makes itself."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a task waits for its turn.

    :param pool: its pool
    :param pool_slots: how many slots it takes there
    :param queue: its Celery queue, None for Airflow's default
    """

    pool: str
    pool_slots: int = 1
    queue: str | None = None


@dataclass(frozen=True, slots=True)
class ConcurrencyOptions:
    """The options as the deployment sets them; see ``airflow config list --section aiopt``."""

    shards: int
    max_shards: int
    max_active_runs: int
    max_active_tasks: int
    cpu_pool: str
    cpu_pool_slots: int
    inference_pool: str
    inference_pool_slots: int
    gpu_pool: str
    gpu_pool_slots: int
    gpus_per_task: int
    gpu_queue: str

    @classmethod
    def read(cls, option: Callable[[str], str]) -> ConcurrencyOptions:
        """Read the options.

        :param option: returns an option's text by its name
        :raises ConfigurationError: if one of them cannot be, or they contradict each other
        """
        found = cls(
            shards=_whole(option, "shards", 1),
            max_shards=_whole(option, "max_shards", 1),
            max_active_runs=_whole(option, "max_active_runs", 1),
            max_active_tasks=_whole(option, "max_active_tasks", 0),
            cpu_pool=_name(option, "cpu_pool"),
            cpu_pool_slots=_whole(option, "cpu_pool_slots", 0),
            inference_pool=_name(option, "inference_pool"),
            inference_pool_slots=_whole(option, "inference_pool_slots", 0),
            gpu_pool=_name(option, "gpu_pool"),
            gpu_pool_slots=_whole(option, "gpu_pool_slots", 0),
            gpus_per_task=_whole(option, "gpus_per_task", 1),
            gpu_queue=option("gpu_queue").strip(),
        )
        found._check()
        return found

    @property
    def uses_gpus(self) -> bool:
        """Whether the templates' inference tasks run on GPUs."""
        return self.gpu_pool_slots > 0

    @property
    def cpu_tasks(self) -> Placement:
        """Where the templates' ingest, preprocess and postprocess tasks run."""
        return Placement(self.cpu_pool)

    @property
    def inference_tasks(self) -> Placement:
        """Where the templates' inference tasks run."""
        if self.uses_gpus:
            return Placement(self.gpu_pool, self.gpus_per_task, self.gpu_queue or None)
        return Placement(self.inference_pool)

    def _check(self) -> None:
        if self.shards > self.max_shards:
            raise ConfigurationError(
                f"[aiopt] shards is {self.shards}, but max_shards allows {self.max_shards}. "
                "Lower shards or raise max_shards"
            )
        if self.uses_gpus and self.gpus_per_task > self.gpu_pool_slots:
            raise ConfigurationError(
                f"[aiopt] gpus_per_task is {self.gpus_per_task}, gpu_pool_slots {self.gpu_pool_slots}; "
                "such a task would wait for ever. Lower gpus_per_task, or raise gpu_pool_slots to the number "
                "of GPUs"
            )


def _whole(option: Callable[[str], str], name: str, least: int) -> int:
    text = option(name)
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise ConfigurationError(f"[aiopt] {name} must be a whole number of at least {least}; found {text!r}")
    return value


def _name(option: Callable[[str], str], name: str) -> str:
    value = option(name).strip()
    if not value:
        raise ConfigurationError(f"[aiopt] {name} is empty. Name a pool, for example {DEFAULT_POOL}")
    return value
