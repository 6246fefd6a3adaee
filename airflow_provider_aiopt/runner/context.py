"""What a run of a stage is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from airflow_provider_aiopt.data.folder import FileSystemResolver, resolve_filesystem
from airflow_provider_aiopt.data.manifest import ShardRef
from airflow_provider_aiopt.data.parallel import usable_cores
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.runner.profiling import Probe, Profiler
from airflow_provider_aiopt.spec.execution import MAX_SHARDS
from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.telemetry.hardware.stage import DEFAULT_INTERVAL_S
from airflow_provider_aiopt.telemetry.metrics import MetricsSink, NullMetrics
from airflow_provider_aiopt.telemetry.progress import NullProgress, Progress
from airflow_provider_aiopt.telemetry.reports import StageReport, TaskIdentity


@dataclass(frozen=True)
class RunContext:
    """One run, as seen by whoever runs a stage of it.

    :param spec: the pipeline
    :param workspace: the run's folder
    :param resolver: how to find file systems; in Airflow it knows connections
    :param metrics: where finished stages send their metrics
    :param task: the Airflow task, None outside Airflow
    :param allowed_callables: prefixes of the dotted paths that the spec may name
    :param max_shards: how many shards ``execution.shard_bytes`` may make
    :param progress: is told how far the stages are
    :param hardware_interval_s: seconds between two samples of the hardware, 0 for none
    :param profiler: what profiles its stages, None for nothing
    :param probe: what watches the stage under way; a runner puts it there
    :param on_answers: in streaming, called on the driving thread whenever a batch's results have been handed
        to their writer, with its records, bad ones included, and the seconds since it had been read; what it
        raises ends the run
    """

    spec: PipelineSpec
    workspace: Workspace
    resolver: FileSystemResolver = resolve_filesystem
    metrics: MetricsSink = field(default_factory=NullMetrics)
    task: TaskIdentity | None = None
    allowed_callables: tuple[str, ...] = ()
    max_shards: int = MAX_SHARDS
    progress: Progress = field(default_factory=NullProgress)
    hardware_interval_s: float = DEFAULT_INTERVAL_S
    profiler: Profiler | None = None
    probe: Probe | None = None
    on_answers: Callable[[int, float], None] | None = None

    @property
    def owner(self) -> str:
        """Whose run it is: the DAG's id, outside Airflow the pipeline's name."""
        return self.task.dag_id if self.task else self.spec.name

    @property
    def workers(self) -> int:
        """Threads that decode and call the model side by side."""
        return self.spec.execution.workers or usable_cores()

    @property
    def readers(self) -> int:
        """Threads that read files of the source side by side."""
        return self.spec.source.readers or self.workers


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """What a stage leaves for the next.

    :param refs: references to the shards it made
    :param report: its report
    """

    refs: tuple[ShardRef, ...]
    report: StageReport
