"""What a stage and a run report about themselves."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from airflow_provider_aiopt.telemetry.evidence import StageEvidence
from airflow_provider_aiopt.telemetry.hardware.models import HardwareUse

STAGES = ("ingest", "preprocess", "inference", "postprocess")
"""The stages of a pipeline in the order in which records pass them."""

ADVICE = "advice"
"""Key of the last stage's ``details`` under which its XCom says what limits the run."""

Change = Literal["slower", "faster"]
"""How a stage differs from its earlier runs."""

QUARANTINED_BY = "quarantined_by"
"""Key of :attr:`StageReport.details` that counts the quarantined records by their error's class.

Those that an earlier attempt quarantined are not among them.
"""

PROFILE = "profile"
"""Key of :attr:`StageReport.details` with the account of a profile.

Its ``kind``, the ``uri`` of the folder that holds its ``files`` (sizes in bytes by name), its ``overhead``,
and ``error`` where the profiler failed.
"""


class _Report(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TaskIdentity(_Report):
    """Which Airflow task wrote a report.

    :param dag_id: DAG id
    :param run_id: DAG run id
    :param task_id: task id
    :param map_index: index of the mapped task, -1 where the task is not mapped
    :param try_number: 1 for the first attempt
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    try_number: int = 1


class StageReport(_Report):
    """Where one task's share of one stage spent its time.

    ``busy_s + wait_input_s + wait_output_s`` equals ``wall_s`` within 2 %.  All times are in seconds of a
    monotonic clock, all sizes in bytes.

    :param pipeline: name of the pipeline spec
    :param stage: one of :data:`STAGES`, or a name given to ``timed_stage``
    :param shard: the shard that was worked on; None where the task works on several or on none
    :param task: the Airflow task, None outside Airflow
    :param started_at: wall-clock time at which the stage began, in UTC
    :param ended_at: wall-clock time at which it ended, in UTC
    :param wall_s: duration of the stage
    :param busy_s: time spent computing, model load included
    :param wait_input_s: time spent waiting for records to be read
    :param wait_output_s: time spent waiting for records to be written
    :param model_load_s: the part of ``busy_s`` that loaded the model
    :param items_in: records that entered the stage, those that an earlier attempt finished included
    :param items_out: records that left it, those of an earlier attempt included
    :param quarantined: records that this stage quarantined
    :param resumed_items: the part of ``items_out`` that an earlier attempt finished and this one did not
        work on again
    :param bytes_in: bytes read
    :param bytes_out: bytes written
    :param batch_sizes: how many batches there were of each size
    :param cache_hits: records that the cache of prepared records knew, so that they were not decoded
    :param cache_misses: records that it did not know; both are 0 where no cache is used
    :param cache_errors: how often the cache failed; it is off from then on, and the work goes on
    :param cpu_s: CPU time of the process and its children, user and system
    :param cpu_utilisation: ``cpu_s / (wall_s * cores)``, 0 to 1
    :param gpu_utilisation: mean utilisation of the GPUs that the process may use, 0 to 1; None where there is
        none, or where the extra ``nvml`` is not installed
    :param peak_memory_bytes: largest resident set of the process during the stage
    :param runtime: the model runtime and the device that really loaded, for example
        ``onnxruntime CPUExecutionProvider``
    :param host: name of the host
    :param pid: process id
    :param state: ``success``, or ``failed`` where the stage raised
    :param error: the error's class and message where it failed
    :param hardware: how the hardware was used meanwhile; None where it was not sampled, or hardly at all
    :param evidence: what the advisor needs beside the times; None where the report is of an
        earlier version
    :param details: further facts of the stage, small
    """

    schema_version: Literal[1] = 1
    pipeline: str
    stage: str
    shard: str | None = None
    task: TaskIdentity | None = None
    started_at: AwareDatetime
    ended_at: AwareDatetime
    wall_s: float = Field(ge=0)
    busy_s: float = Field(ge=0)
    wait_input_s: float = Field(default=0.0, ge=0)
    wait_output_s: float = Field(default=0.0, ge=0)
    model_load_s: float = Field(default=0.0, ge=0)
    items_in: int = Field(default=0, ge=0)
    items_out: int = Field(default=0, ge=0)
    quarantined: int = Field(default=0, ge=0)
    resumed_items: int = Field(default=0, ge=0)
    bytes_in: int = Field(default=0, ge=0)
    bytes_out: int = Field(default=0, ge=0)
    batch_sizes: dict[int, int] = Field(default_factory=dict)
    cache_hits: int = Field(default=0, ge=0)
    cache_misses: int = Field(default=0, ge=0)
    cache_errors: int = Field(default=0, ge=0)
    cpu_s: float = Field(default=0.0, ge=0)
    cpu_utilisation: float = Field(default=0.0, ge=0)
    gpu_utilisation: float | None = None
    peak_memory_bytes: int = Field(default=0, ge=0)
    runtime: str | None = None
    host: str = ""
    pid: int = 0
    state: Literal["success", "failed"] = "success"
    error: str | None = None
    hardware: HardwareUse | None = None
    evidence: StageEvidence | None = None
    details: dict[str, JsonValue] = Field(default_factory=dict)


class TaskTimes(_Report):
    """Airflow's own times of one task instance, from its public API.

    :param task_id: task id
    :param map_index: -1 where the task is not mapped
    :param try_number: the attempt that the times belong to
    :param scheduled_at: when the scheduler found it runnable
    :param queued_at: when it was handed to the executor
    :param started_at: when a worker began it
    :param ended_at: when it ended
    :param state: its state, for example ``success``
    :param pool: the pool that it waited in; None where that is not known
    """

    task_id: str
    map_index: int = -1
    try_number: int = 1
    scheduled_at: AwareDatetime | None = None
    queued_at: AwareDatetime | None = None
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    state: str | None = None
    pool: str | None = None


class StageSummary(_Report):
    """One stage of a run, all its tasks taken together.

    :param stage: the stage's name
    :param tasks: how many tasks (shards) reported
    :param failed: how many of them failed at their last attempt
    :param duration_s: from the first task's beginning to the last one's end
    :param share: ``duration_s`` over the sum of all stages' durations, 0 to 1; where the stages ran side by
        side in one process (:attr:`RunReport.overlapped`), ``busy_s`` over the sum of all stages' busy times
    :param task_s: sum of the tasks' wall times; above ``duration_s`` where they ran side by side
    :param busy_s: sum over the tasks, as in :class:`StageReport`
    :param wait_input_s: sum over the tasks
    :param wait_output_s: sum over the tasks
    :param model_load_s: sum over the tasks
    :param items: records that left the stage
    :param resumed: the part of ``items`` that an earlier attempt finished
    :param items_per_s: records worked on per second: ``(items - resumed) / duration_s``
    :param quarantined: records that the stage quarantined
    :param bytes_in: bytes read
    :param bytes_out: bytes written
    :param cache_hits: sum over the tasks
    :param cache_misses: sum over the tasks
    :param cache_errors: sum over the tasks
    :param cpu_utilisation: mean over the tasks, weighted by wall time
    :param peak_memory_bytes: largest of the tasks
    :param scheduled_s: longest time that a task waited between scheduled and queued; None without Airflow
    :param queued_s: longest time that a task waited between queued and started; None without Airflow
    :param bottleneck: whether it is the stage with the largest ``share``
    :param usual_s: median of ``duration_s`` over earlier runs of the same size; None where these are too few,
        or where nobody looked
    :param change: whether ``duration_s`` is beyond what those runs show to be usual, see
        :func:`~airflow_provider_aiopt.telemetry.trend.change_of`
    """

    stage: str
    tasks: int
    failed: int = 0
    duration_s: float
    share: float
    task_s: float
    busy_s: float
    wait_input_s: float
    wait_output_s: float
    model_load_s: float
    items: int
    resumed: int = 0
    items_per_s: float
    quarantined: int
    bytes_in: int
    bytes_out: int
    cache_hits: int = 0
    cache_misses: int = 0
    cache_errors: int = 0
    cpu_utilisation: float
    peak_memory_bytes: int
    scheduled_s: float | None = None
    queued_s: float | None = None
    bottleneck: bool = False
    usual_s: float | None = None
    change: Change | None = None


class RunReport(_Report):
    """A whole run: its stages, its records and where its results lie.

    ``records_in == results + quarantined`` holds for every finished run.

    :param pipeline: name of the pipeline spec
    :param run_id: the run's name: the folder of its workspace, in Airflow the DAG run id
    :param dag_id: DAG id, None outside Airflow
    :param started_at: beginning of the first stage, in UTC
    :param ended_at: end of the last stage, in UTC
    :param wall_s: from ``started_at`` to ``ended_at``, waits between the stages included
    :param records_in: records that the source held
    :param results: records with a result
    :param quarantined: records in quarantine
    :param results_uri: where the result files lie; None until postprocessing has committed
    :param quarantine_uri: where the quarantine files lie
    :param overlapped: whether stages ran side by side in one process, as the streaming mode does: each then
        lasts about as long as the whole run, and only the busy times tell which one holds the others up
    :param stages: the stages in order
    :param tasks: every task's own report
    :param task_times: Airflow's own times of the run's tasks; none where Airflow was not asked
    :param queued_s: how long the DAG run waited until the scheduler began it, as behind other runs where
        ``max_active_runs`` are; None where that is not known
    """

    schema_version: Literal[1] = 1
    pipeline: str
    run_id: str
    dag_id: str | None = None
    started_at: AwareDatetime
    ended_at: AwareDatetime
    wall_s: float
    records_in: int
    results: int
    quarantined: int
    results_uri: str | None = None
    quarantine_uri: str | None = None
    overlapped: bool = False
    stages: tuple[StageSummary, ...]
    tasks: tuple[StageReport, ...] = ()
    task_times: tuple[TaskTimes, ...] = ()
    queued_s: float | None = None

    @property
    def bottleneck(self) -> StageSummary | None:
        """The stage with the largest share, None where nothing was reported."""
        return next((stage for stage in self.stages if stage.bottleneck), None)
