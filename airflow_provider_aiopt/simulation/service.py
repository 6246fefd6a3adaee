"""The measured service times that a simulation draws from."""

from __future__ import annotations

import random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Empirical(_Model):
    """Measured values of something, drawn again with equal chances.

    Nothing is supposed about their distribution, and nothing beyond the largest of them is ever drawn.

    :param values: one or more, none negative
    """

    values: tuple[float, ...] = Field(min_length=1)

    @property
    def mean(self) -> float:
        """Their mean."""
        return sum(self.values) / len(self.values)

    def draw(self, chance: random.Random) -> float:
        """Return one of them.

        :param chance: where randomness comes from
        """
        return self.values[int(chance.random() * len(self.values))]


def constant(value: float) -> Empirical:
    """Return what is always *value*."""
    return Empirical(values=(value,))


class StepService(_Model):
    """What one task of a pipeline's step takes, by the records that it works on.

    A task starts up, sets up (imports, the model's load), works on its records, and ends.  CPU time is that
    of a core which is not shared; while a task works, it can use ``width`` cores at once.

    :param name: the task's id, outside Airflow the stage's name
    :param stages: the stages that it runs
    :param mapped: whether there is a task for each shard, or one for all
    :param model: whether it runs the model, and so needs a slot of the inference pool and, where there are
        GPUs, one of them
    :param start_up_cpu_s: CPU time from the task's start to its stage's
    :param setup_cpu_s: CPU time from there to the first batch
    :param setup_wait_s: waiting within the same, for storage
    :param cpu_s_per_item: CPU time of a record
    :param wait_s_per_item: waiting for storage, or for a GPU, that no other record's work hides, per record
    :param shard_wait_s: waiting for each shard that the task commits
    :param ending_cpu_s: CPU time from the stage's end to the task's
    :param width: cores that its work can use at once; at most 1 for start-up, set-up and end
    :param variation: how much a task's work differs from the mean for its records, as factors around 1
    :param gpu_share: share of its working time in which its GPU computes, 0 to 1
    """

    name: str
    stages: tuple[str, ...]
    mapped: bool
    model: bool = False
    start_up_cpu_s: Empirical
    setup_cpu_s: Empirical
    setup_wait_s: float = Field(default=0.0, ge=0)
    cpu_s_per_item: float = Field(ge=0)
    wait_s_per_item: float = Field(default=0.0, ge=0)
    shard_wait_s: float = Field(default=0.0, ge=0)
    ending_cpu_s: Empirical
    width: float = Field(default=1.0, gt=0)
    variation: Empirical = constant(1.0)
    gpu_share: float = Field(default=0.0, ge=0, le=1)

    def mean_s(self, items: float, shards: int = 1) -> float:
        """Return how long a task takes on idle cores, on average.

        :param items: records
        :param shards: shards that it commits
        """
        fixed = self.start_up_cpu_s.mean + self.setup_cpu_s.mean + self.setup_wait_s + self.ending_cpu_s.mean
        work = items * (self.cpu_s_per_item / self.width + self.wait_s_per_item)
        return fixed + work + shards * self.shard_wait_s

    def mean_cpu_s(self, items: float) -> float:
        """Return its CPU time on average.

        :param items: records
        """
        fixed = self.start_up_cpu_s.mean + self.setup_cpu_s.mean + self.ending_cpu_s.mean
        return fixed + items * self.cpu_s_per_item


class AirflowService(_Model):
    """What Airflow itself takes.

    :param run_start_s: from a run's creation to the scheduler's beginning of it, where no other run holds it
    :param loop_s: from an end that the scheduler has to notice, of a task or of a run's last task, to what
        it does about it: its loop
    :param hand_over_s: from a task's being queued to its start by a free worker
    :param launch_s: what each further task that is queued in the same loop starts later
    :param measured: whether Airflow's own times were known; if not, these are the documented estimates
    """

    run_start_s: Empirical
    loop_s: Empirical
    hand_over_s: Empirical
    launch_s: float = Field(ge=0)
    measured: bool


class Calibration(_Model):
    """A pipeline as it was measured: all that a simulation knows of it.

    :param pipeline: the pipeline's name
    :param mode: ``staged``, or ``streaming`` where stages share a task
    :param steps: its tasks in order; each begins when all tasks of the one before it have ended
    :param airflow: what Airflow itself takes
    :param items: records of a run, as measured
    :param shards: shards of a run, as measured
    :param cores: cores of the machine that was measured, the processes' own
    :param services: cores that Airflow's services and other small processes used beside the tasks; they wake
        up seldom and briefly, so that a fair scheduler gives them what they want
    :param neighbours: threads of others that always want to run, and get as much as each of the tasks' own
    :param runs: how many runs were measured
    :param tasks: how many tasks
    :param crowded: whether the cores were busy with others' work meanwhile, which makes CPU times larger and
        the width of each task unknown
    """

    schema_version: Literal[1] = 1
    pipeline: str
    mode: Literal["staged", "streaming"]
    steps: tuple[StepService, ...] = Field(min_length=1)
    airflow: AirflowService
    items: int = Field(ge=1)
    shards: int = Field(ge=1)
    cores: int = Field(ge=1)
    services: float = Field(default=0.0, ge=0)
    neighbours: float = Field(default=0.0, ge=0)
    runs: int = Field(ge=1)
    tasks: int = Field(ge=1)
    crowded: bool = False
