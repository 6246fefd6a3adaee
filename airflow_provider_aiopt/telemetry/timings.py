"""What the stage timings pages show of a run: its stages, its tasks and where their time went."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from airflow_provider_aiopt.telemetry.reports import StageSummary, TaskTimes

SegmentName = Literal[
    "scheduled", "queued", "start_up", "model_load", "reading", "waiting", "computing", "writing"
]

SEGMENTS: tuple[SegmentName, ...] = (
    "scheduled",
    "queued",
    "start_up",
    "model_load",
    "reading",
    "waiting",
    "computing",
    "writing",
)
"""The parts of a task's time, in the order in which they are drawn.

``scheduled`` and ``queued`` are Airflow's waits before a worker began the task, ``start_up`` is from there to
the stage's own beginning; the others are sums over the stage.  ``waiting`` is that of a streamed stage for
its neighbours in the same task, of which only the first reads and only the last writes.
"""


class _Timings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunFacts(_Timings):
    """What Airflow itself knows of a DAG run.

    :param dag_id: DAG id
    :param run_id: DAG run id
    :param state: ``queued``, ``running``, ``success`` or ``failed``
    :param started_at: when the scheduler began it; None while it is queued
    :param ended_at: when it ended; None while it runs
    :param queued_at: when it was made or cleared; None where that is not known
    """

    dag_id: str
    run_id: str
    state: str
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    queued_at: AwareDatetime | None = None

    @property
    def queued_s(self) -> float | None:
        """How long it waited until the scheduler began it, None where it has not or that is not known."""
        if self.queued_at is None or self.started_at is None:
            return None
        return max(0.0, (self.started_at - self.queued_at).total_seconds())


class TaskFacts(TaskTimes):
    """What Airflow itself knows of a task instance.

    :param stage: the stage that the task's operator runs; None where that is no stage of this package
    :param host: the worker's host, empty until a worker has begun it
    """

    stage: str | None = None
    host: str = ""


class Segment(_Timings):
    """A part of a task's time.

    :param name: one of :data:`SEGMENTS`
    :param seconds: how long it was, all its pieces taken together
    """

    name: SegmentName
    seconds: float


class StageTimings(StageSummary):
    """One stage of a run.

    :param batch_size: mean number of records in a batch; None where the stage has no batches
    :param gpu_utilisation: mean over the tasks that used a GPU, weighted by wall time, 0 to 1; None without
    """

    batch_size: float | None = None
    gpu_utilisation: float | None = None


class ProfileLink(BaseModel):
    """Where a task's profile lies.

    :param kind: the profiler
    :param uri: folder of its files, in the run's workspace
    :param files: their sizes in bytes by name
    :param error: why the profiler failed
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: str
    uri: str
    files: dict[str, int] = {}
    error: str | None = None


class TaskTimings(_Timings):
    """One task's share of one stage; a task that ran several stages has one for each.

    :param stage: the stage, or the task's id where the task has yet to say which stages it ran
    :param task_id: task id
    :param map_index: -1 where the task is not mapped
    :param try_number: the attempt that the times belong to
    :param state: the task instance's state in Airflow, ``none`` before it has one
    :param shard: the shard worked on; None for several or none
    :param scheduled_at: when the scheduler found the task runnable
    :param queued_at: when it was handed to the executor
    :param started_at: when a worker began it
    :param ended_at: when it ended
    :param items: records that left the stage
    :param quarantined: records that the stage quarantined
    :param host: name of the host
    :param profile: where its profile lies; None where it was not profiled
    :param segments: where the time went, in the order of :data:`SEGMENTS`; what is not known is left out
    """

    stage: str
    task_id: str
    map_index: int
    try_number: int
    state: str
    shard: str | None
    scheduled_at: AwareDatetime | None
    queued_at: AwareDatetime | None
    started_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    items: int
    quarantined: int
    host: str
    segments: tuple[Segment, ...]
    profile: ProfileLink | None = None


class QuarantineCount(_Timings):
    """How many records a stage quarantined for one reason.

    :param stage: the stage
    :param error: the error's class, ``unknown`` where the report does not say
    :param count: how many records
    """

    stage: str
    error: str
    count: int


class Advice(_Timings):
    """What limits a run, and what to do about it.

    :param title: what limits it
    :param text: what to change
    """

    title: str
    text: str


class RunTimings(_Timings):
    """A run as the stage timings pages show it.

    :param dag_id: DAG id
    :param run_id: DAG run id
    :param pipeline: name of the pipeline, the DAG's id until a stage has reported
    :param state: the run's state in Airflow
    :param mode: ``staged``, or ``streaming`` where stages share a task; None until a stage has reported
    :param started_at: Airflow's time of the run's beginning; None while it is queued
    :param ended_at: Airflow's time of its end; None while it runs
    :param wall_s: from the one to the other, or until now
    :param records_in: records that entered the pipeline
    :param results: records with a result
    :param quarantined: records in quarantine
    :param stages: the stages that have reported, in order
    :param tasks: the tasks in the order of the stages
    :param quarantine: reasons for quarantine, the most frequent first
    :param advice: what limits the run
    :param notes: what else one has to know to read the numbers
    """

    dag_id: str
    run_id: str
    pipeline: str
    state: str
    mode: Literal["staged", "streaming"] | None
    started_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    wall_s: float
    records_in: int
    results: int
    quarantined: int
    stages: tuple[StageTimings, ...] = ()
    tasks: tuple[TaskTimings, ...] = ()
    quarantine: tuple[QuarantineCount, ...] = ()
    advice: tuple[Advice, ...] = ()
    notes: tuple[str, ...] = ()
