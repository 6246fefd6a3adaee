"""Every metric that the package emits, declared once.

``docs/metrics.md`` and the mapping for Prometheus' ``statsd_exporter`` are rendered from here, so they cannot
differ from what is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TAGS = ("dag_id", "task_id", "stage")
"""The tags of every metric; the dotted names carry their values in this order.

Outside Airflow ``dag_id`` is the pipeline's name and ``task_id`` the stage's.
"""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    :param name: StatsD name, without the prefix that the backend is configured with
    :param kind: ``timing`` is sent in milliseconds, as StatsD wants it; ``counter`` adds up; ``gauge`` holds
        the last value, so the shards of a mapped task replace each other's
    :param unit: unit of the value in Prometheus
    :param description: what it says, and when it is sent
    :param prometheus: name in Prometheus, through the exporter's mapping
    :param tags: names of its tags
    """

    name: str
    kind: Literal["timing", "counter", "gauge"]
    unit: str
    description: str
    prometheus: str
    tags: tuple[str, ...] = TAGS


STAGE_DURATION = Metric(
    "ai_pipeline.stage.duration",
    "timing",
    "seconds",
    "How long one task's share of a stage took, sent when it ends, failed or not.",
    "ai_pipeline_stage_duration_seconds",
)
STAGE_MODEL_LOAD = Metric(
    "ai_pipeline.stage.model_load",
    "timing",
    "seconds",
    "The part of it that loaded the model, sent by stages that load one.",
    "ai_pipeline_stage_model_load_seconds",
)
STAGE_WAIT_INPUT = Metric(
    "ai_pipeline.stage.wait_input",
    "timing",
    "seconds",
    "The part of it that waited for records to be read.",
    "ai_pipeline_stage_wait_input_seconds",
)
STAGE_WAIT_OUTPUT = Metric(
    "ai_pipeline.stage.wait_output",
    "timing",
    "seconds",
    "The part of it that waited for records to be written.",
    "ai_pipeline_stage_wait_output_seconds",
)
STAGE_ITEMS = Metric(
    "ai_pipeline.stage.items",
    "counter",
    "records",
    "Records that left the stage in this attempt; those that an earlier attempt had finished are left out.",
    "ai_pipeline_stage_items_total",
)
STAGE_QUARANTINED = Metric(
    "ai_pipeline.stage.quarantined",
    "counter",
    "records",
    "Bad records that the stage put into quarantine.",
    "ai_pipeline_stage_quarantined_total",
)
STAGE_BYTES_IN = Metric(
    "ai_pipeline.stage.bytes_in",
    "counter",
    "bytes",
    "Bytes that the stage read.",
    "ai_pipeline_stage_bytes_in_total",
)
STAGE_BYTES_OUT = Metric(
    "ai_pipeline.stage.bytes_out",
    "counter",
    "bytes",
    "Bytes that the stage wrote.",
    "ai_pipeline_stage_bytes_out_total",
)
STAGE_FAILURES = Metric(
    "ai_pipeline.stage.failures",
    "counter",
    "attempts",
    "1 where the stage raised, 0 where it did not, so that a rate is known from the first run on.",
    "ai_pipeline_stage_failures_total",
)
STAGE_CACHE_HITS = Metric(
    "ai_pipeline.stage.cache_hits",
    "counter",
    "records",
    "Records that the cache of prepared records knew, sent where one is used.",
    "ai_pipeline_stage_cache_hits_total",
)
STAGE_CACHE_MISSES = Metric(
    "ai_pipeline.stage.cache_misses",
    "counter",
    "records",
    "Records that it did not know, sent where one is used.",
    "ai_pipeline_stage_cache_misses_total",
)
STAGE_CACHE_ERRORS = Metric(
    "ai_pipeline.stage.cache_errors",
    "counter",
    "errors",
    "How often it failed, sent where one is used; it is off from then on, and the work goes on.",
    "ai_pipeline_stage_cache_errors_total",
)
STAGE_ITEMS_PER_SECOND = Metric(
    "ai_pipeline.stage.items_per_second",
    "gauge",
    "records per second",
    "``items`` over ``duration``, sent where the stage took measurable time.",
    "ai_pipeline_stage_items_per_second",
)
STAGE_BATCH_SIZE = Metric(
    "ai_pipeline.stage.batch_size",
    "gauge",
    "records",
    "Mean size of the batches, sent by stages that work in batches.",
    "ai_pipeline_stage_batch_size",
)
STAGE_PEAK_MEMORY = Metric(
    "ai_pipeline.stage.peak_memory_bytes",
    "gauge",
    "bytes",
    "Largest resident set of the process during the stage, sent where it is known.",
    "ai_pipeline_stage_peak_memory_bytes",
)
STAGE_MEMORY_LIMIT = Metric(
    "ai_pipeline.stage.memory_limit",
    "gauge",
    "bytes",
    "Memory that the process may have: its control group's limit or the machine's, sent where it is known.",
    "ai_pipeline_stage_memory_limit_bytes",
)
STAGE_CPU_UTILISATION = Metric(
    "ai_pipeline.stage.cpu_utilisation",
    "gauge",
    "ratio",
    "CPU time over duration times cores, 0 to 1.",
    "ai_pipeline_stage_cpu_utilisation_ratio",
)
STAGE_GPU_UTILISATION = Metric(
    "ai_pipeline.stage.gpu_utilisation",
    "gauge",
    "ratio",
    "Mean utilisation of the GPU, 0 to 1, sent where one was used.",
    "ai_pipeline_stage_gpu_utilisation_ratio",
)
TASK_QUEUED = Metric(
    "ai_pipeline.task.queued",
    "timing",
    "seconds",
    "From the beginning of a run to that of a task that waits for no other, sent by its first attempt.",
    "ai_pipeline_task_queued_seconds",
)
UPLOAD_TO_START = Metric(
    "ai_pipeline.upload.to_start",
    "timing",
    "seconds",
    "From the first sighting of a run's oldest upload to the task that takes it, whose stage is ``take``.",
    "ai_pipeline_upload_to_start_seconds",
)

CATALOGUE: tuple[Metric, ...] = (
    STAGE_DURATION,
    STAGE_MODEL_LOAD,
    STAGE_WAIT_INPUT,
    STAGE_WAIT_OUTPUT,
    STAGE_ITEMS,
    STAGE_QUARANTINED,
    STAGE_BYTES_IN,
    STAGE_BYTES_OUT,
    STAGE_FAILURES,
    STAGE_CACHE_HITS,
    STAGE_CACHE_MISSES,
    STAGE_CACHE_ERRORS,
    STAGE_ITEMS_PER_SECOND,
    STAGE_BATCH_SIZE,
    STAGE_PEAK_MEMORY,
    STAGE_MEMORY_LIMIT,
    STAGE_CPU_UTILISATION,
    STAGE_GPU_UTILISATION,
    TASK_QUEUED,
    UPLOAD_TO_START,
)
"""All metrics, in the order of the documentation."""
