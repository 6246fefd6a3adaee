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
STAGE_CPU_UTILISATION = Metric(
    "ai_pipeline.stage.cpu_utilisation",
    "gauge",
    "ratio",
    "CPU time over duration times cores, 0 to 1.",
    "ai_pipeline_stage_cpu_utilisation_ratio",
)
STAGE_CPU_CORES = Metric(
    "ai_pipeline.stage.cpu_cores",
    "gauge",
    "cores",
    "Cores that the process and its descendants kept busy, mean over the stage.",
    "ai_pipeline_stage_cpu_cores",
)
STAGE_HOST_CPU = Metric(
    "ai_pipeline.stage.host_cpu",
    "gauge",
    "ratio",
    "Share of the host's CPU time in which some process ran, 0 to 1, mean over the stage.",
    "ai_pipeline_stage_host_cpu_ratio",
)
STAGE_CPU_STEAL = Metric(
    "ai_pipeline.stage.cpu_steal",
    "gauge",
    "ratio",
    "Share of the host's CPU time that the hypervisor gave to other machines, 0 to 1, mean over the stage.",
    "ai_pipeline_stage_cpu_steal_ratio",
)
STAGE_CPU_THROTTLED = Metric(
    "ai_pipeline.stage.cpu_throttled",
    "gauge",
    "ratio",
    "Share of the periods in which the cgroup's CPU quota was used up, 0 to 1, sent where there is a quota.",
    "ai_pipeline_stage_cpu_throttled_ratio",
)
STAGE_MEMORY = Metric(
    "ai_pipeline.stage.memory",
    "gauge",
    "bytes",
    "Resident sets of the process and its descendants, the largest sample.",
    "ai_pipeline_stage_memory_bytes",
)
STAGE_MEMORY_LIMIT = Metric(
    "ai_pipeline.stage.memory_limit",
    "gauge",
    "bytes",
    "Memory that the process may have: the least of its cgroups' limits and the host's memory.",
    "ai_pipeline_stage_memory_limit_bytes",
)
STAGE_MEMORY_LIMIT_USED = Metric(
    "ai_pipeline.stage.memory_limit_used",
    "gauge",
    "ratio",
    "Share of it that all processes for which the limit holds had in use, without what the kernel can drop, "
    "0 to 1, the largest sample.",
    "ai_pipeline_stage_memory_limit_used_ratio",
)
STAGE_DISK_READ = Metric(
    "ai_pipeline.stage.disk_read",
    "gauge",
    "bytes per second",
    "What the process and its descendants read from disks, mean over the stage.",
    "ai_pipeline_stage_disk_read_bytes_per_second",
)
STAGE_DISK_WRITE = Metric(
    "ai_pipeline.stage.disk_write",
    "gauge",
    "bytes per second",
    "What the process and its descendants wrote to disks, mean over the stage.",
    "ai_pipeline_stage_disk_write_bytes_per_second",
)
STAGE_NET_IN = Metric(
    "ai_pipeline.stage.net_in",
    "gauge",
    "bytes per second",
    "What the host, or the container, received from the network, mean over the stage.",
    "ai_pipeline_stage_net_in_bytes_per_second",
)
STAGE_NET_OUT = Metric(
    "ai_pipeline.stage.net_out",
    "gauge",
    "bytes per second",
    "What the host, or the container, sent to the network, mean over the stage.",
    "ai_pipeline_stage_net_out_bytes_per_second",
)
STAGE_GPU_UTILISATION = Metric(
    "ai_pipeline.stage.gpu_utilisation",
    "gauge",
    "ratio",
    "Mean utilisation of the GPUs that the process may use, 0 to 1, sent with the other ``gpu`` metrics "
    "where there are any and the extra ``nvml`` is installed.",
    "ai_pipeline_stage_gpu_utilisation_ratio",
)
STAGE_GPU_MEMORY = Metric(
    "ai_pipeline.stage.gpu_memory",
    "gauge",
    "bytes",
    "Memory in use on these GPUs, the largest sample.",
    "ai_pipeline_stage_gpu_memory_bytes",
)
STAGE_GPU_MEMORY_SIZE = Metric(
    "ai_pipeline.stage.gpu_memory_size",
    "gauge",
    "bytes",
    "Memory of these GPUs.",
    "ai_pipeline_stage_gpu_memory_size_bytes",
)
STAGE_GPU_POWER = Metric(
    "ai_pipeline.stage.gpu_power",
    "gauge",
    "watts",
    "Power draw of these GPUs, mean over the stage.",
    "ai_pipeline_stage_gpu_power_watts",
)
STAGE_GPU_CLOCK = Metric(
    "ai_pipeline.stage.gpu_sm_clock",
    "gauge",
    "hertz",
    "Clock of these GPUs' multiprocessors, mean over the stage.",
    "ai_pipeline_stage_gpu_sm_clock_hertz",
)
STAGE_GPU_THROTTLED = Metric(
    "ai_pipeline.stage.gpu_throttled",
    "gauge",
    "ratio",
    "Share of the stage in which heat or want of power held these GPUs' clocks down, 0 to 1, by the reason "
    "that held longest.",
    "ai_pipeline_stage_gpu_throttled_ratio",
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
POD_SCHEDULE = Metric(
    "ai_pipeline.pod.schedule",
    "timing",
    "seconds",
    "From a pod's creation to its node, sent with the other ``pod`` metrics by ``KubernetesStageOperator``.",
    "ai_pipeline_pod_schedule_seconds",
)
POD_PULL = Metric(
    "ai_pipeline.pod.pull",
    "timing",
    "seconds",
    "How long the node pulled its images, 0 where it had them; sent where the pod's events may be read.",
    "ai_pipeline_pod_pull_seconds",
)
POD_START = Metric(
    "ai_pipeline.pod.start",
    "timing",
    "seconds",
    "The rest of the time from the node to the running container: volumes, network, sandbox.",
    "ai_pipeline_pod_start_seconds",
)
POD_BOOT = Metric(
    "ai_pipeline.pod.boot",
    "timing",
    "seconds",
    "From the running container to the stage's beginning: the interpreter and its modules.",
    "ai_pipeline_pod_boot_seconds",
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
    STAGE_CPU_UTILISATION,
    STAGE_CPU_CORES,
    STAGE_HOST_CPU,
    STAGE_CPU_STEAL,
    STAGE_CPU_THROTTLED,
    STAGE_MEMORY,
    STAGE_MEMORY_LIMIT,
    STAGE_MEMORY_LIMIT_USED,
    STAGE_DISK_READ,
    STAGE_DISK_WRITE,
    STAGE_NET_IN,
    STAGE_NET_OUT,
    STAGE_GPU_UTILISATION,
    STAGE_GPU_MEMORY,
    STAGE_GPU_MEMORY_SIZE,
    STAGE_GPU_POWER,
    STAGE_GPU_CLOCK,
    STAGE_GPU_THROTTLED,
    TASK_QUEUED,
    UPLOAD_TO_START,
    POD_SCHEDULE,
    POD_PULL,
    POD_START,
    POD_BOOT,
)
"""All metrics, in the order of the documentation."""
