"""From a finished stage to metrics, whatever they are sent through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from airflow_provider_aiopt.telemetry import catalogue
from airflow_provider_aiopt.telemetry.catalogue import Metric
from airflow_provider_aiopt.telemetry.hardware.gpu import SLOWDOWNS
from airflow_provider_aiopt.telemetry.hardware.models import HardwareUse
from airflow_provider_aiopt.telemetry.reports import StageReport

_HERTZ_PER_MHZ = 1e6


class MetricsSink(Protocol):
    """Sends single metrics.  An implementation never raises and never blocks: metrics are not the work."""

    def timing_ms(self, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        """Send a timing.

        :param metric: a timing of the catalogue
        :param value: milliseconds
        :param tags: a value for each of the metric's tags
        """
        ...

    def counter(self, metric: Metric, value: int, tags: Mapping[str, str]) -> None:
        """Add to a counter.

        :param metric: a counter of the catalogue
        :param value: what to add, 0 included
        :param tags: a value for each of the metric's tags
        """
        ...

    def gauge(self, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        """Set a gauge.

        :param metric: a gauge of the catalogue
        :param value: its new value, in the metric's unit
        :param tags: a value for each of the metric's tags
        """
        ...


class NullMetrics:
    """Sends nothing: the default."""

    def timing_ms(self, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        """Do nothing."""

    def counter(self, metric: Metric, value: int, tags: Mapping[str, str]) -> None:
        """Do nothing."""

    def gauge(self, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        """Do nothing."""


def emit_stage_report(report: StageReport, sink: MetricsSink) -> None:
    """Send the metrics of one finished stage.

    :param report: the stage, successful or failed
    :param sink: where to
    """
    tags = {
        "dag_id": report.task.dag_id if report.task else report.pipeline,
        "task_id": report.task.task_id if report.task else report.stage,
        "stage": report.stage,
    }
    for metric, seconds in _timings(report):
        sink.timing_ms(metric, seconds * 1000.0, tags)
    for metric, amount in _counters(report):
        sink.counter(metric, amount, tags)
    for metric, value in _gauges(report):
        sink.gauge(metric, value, tags)


def _timings(report: StageReport) -> Iterator[tuple[Metric, float]]:
    yield catalogue.STAGE_DURATION, report.wall_s
    yield catalogue.STAGE_WAIT_INPUT, report.wait_input_s
    yield catalogue.STAGE_WAIT_OUTPUT, report.wait_output_s
    if report.model_load_s > 0:
        yield catalogue.STAGE_MODEL_LOAD, report.model_load_s


def _counters(report: StageReport) -> Iterator[tuple[Metric, int]]:
    yield catalogue.STAGE_ITEMS, _worked_on(report)
    yield catalogue.STAGE_QUARANTINED, report.quarantined
    yield catalogue.STAGE_BYTES_IN, report.bytes_in
    yield catalogue.STAGE_BYTES_OUT, report.bytes_out
    yield catalogue.STAGE_FAILURES, int(report.state == "failed")
    if report.cache_hits or report.cache_misses or report.cache_errors:
        yield catalogue.STAGE_CACHE_HITS, report.cache_hits
        yield catalogue.STAGE_CACHE_MISSES, report.cache_misses
        yield catalogue.STAGE_CACHE_ERRORS, report.cache_errors


def _gauges(report: StageReport) -> Iterator[tuple[Metric, float]]:
    if report.wall_s > 0:
        yield catalogue.STAGE_ITEMS_PER_SECOND, _worked_on(report) / report.wall_s
    if batches := sum(report.batch_sizes.values()):
        total = sum(size * times for size, times in report.batch_sizes.items())
        yield catalogue.STAGE_BATCH_SIZE, total / batches
    if report.peak_memory_bytes > 0:
        yield catalogue.STAGE_PEAK_MEMORY, report.peak_memory_bytes
    yield catalogue.STAGE_CPU_UTILISATION, report.cpu_utilisation
    if report.gpu_utilisation is not None:
        yield catalogue.STAGE_GPU_UTILISATION, report.gpu_utilisation
    if report.hardware is not None:
        yield from _hardware_gauges(report.hardware)


def _worked_on(report: StageReport) -> int:
    return max(0, report.items_out - report.resumed_items)


def _hardware_gauges(use: HardwareUse) -> Iterator[tuple[Metric, float]]:
    """Yield what is known: means of rates and shares, the largest samples of memory."""
    levels = (
        (catalogue.STAGE_CPU_CORES, use.cpu_cores),
        (catalogue.STAGE_HOST_CPU, use.host_cpu),
        (catalogue.STAGE_CPU_STEAL, use.cpu_steal),
        (catalogue.STAGE_CPU_THROTTLED, use.cpu_throttled),
        (catalogue.STAGE_DISK_READ, use.disk_read_bytes_per_s),
        (catalogue.STAGE_DISK_WRITE, use.disk_write_bytes_per_s),
        (catalogue.STAGE_NET_IN, use.net_in_bytes_per_s),
        (catalogue.STAGE_NET_OUT, use.net_out_bytes_per_s),
        (catalogue.STAGE_GPU_POWER, use.gpu_power_w),
    )
    for metric, level in levels:
        if level is not None:
            yield metric, level.mean
    if use.memory_bytes is not None:
        yield catalogue.STAGE_MEMORY, use.memory_bytes.max
    if use.memory_limit_bytes is not None:
        yield catalogue.STAGE_MEMORY_LIMIT, use.memory_limit_bytes
    if use.memory_limit_used is not None:
        yield catalogue.STAGE_MEMORY_LIMIT_USED, use.memory_limit_used.max
    if use.gpu_memory_bytes is not None:
        yield catalogue.STAGE_GPU_MEMORY, use.gpu_memory_bytes.max
    if use.gpu_memory_total_bytes is not None:
        yield catalogue.STAGE_GPU_MEMORY_SIZE, use.gpu_memory_total_bytes
    if use.gpu_sm_clock_mhz is not None:
        yield catalogue.STAGE_GPU_CLOCK, use.gpu_sm_clock_mhz.mean * _HERTZ_PER_MHZ
    if use.gpu_throttled is not None:
        yield catalogue.STAGE_GPU_THROTTLED, max(use.gpu_throttled.get(name, 0.0) for name in SLOWDOWNS)
