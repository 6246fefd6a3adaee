"""Metrics through what the deployment has configured under ``[metrics]``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from airflow_provider_aiopt.airflow.config import configuration
from airflow_provider_aiopt.telemetry.catalogue import Metric
from airflow_provider_aiopt.telemetry.names import dotted_name, safe_tags

log = logging.getLogger(__name__)


class AirflowMetrics:
    """Sends metrics from within a task through Airflow's own StatsD or OpenTelemetry client.

    Plain StatsD drops the tags of metrics that Airflow does not know, so these then travel in a dotted name.
    Nothing that goes wrong in sending reaches the task: the first failure is logged, the rest are silent.
    """

    def __init__(self) -> None:
        self._warned = False

    def timing_ms(self, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        """Send a timing in milliseconds."""
        self._send(lambda name, kept: self._stats.timing(name, value, tags=kept), metric, tags)

    def counter(self, metric: Metric, value: int, tags: Mapping[str, str]) -> None:
        """Add to a counter."""
        self._send(lambda name, kept: self._stats.incr(name, value, tags=kept), metric, tags)

    def gauge(self, metric: Metric, value: float, tags: Mapping[str, str]) -> None:
        """Set a gauge."""
        self._send(lambda name, kept: self._stats.gauge(name, value, tags=kept), metric, tags)

    def _send(
        self,
        send: Callable[[str, dict[str, str] | None], object],
        metric: Metric,
        tags: Mapping[str, str],
    ) -> None:
        try:
            if self._has_tags:
                send(metric.name, safe_tags(metric, tags))
            else:
                send(dotted_name(metric, tags), None)
        except Exception as error:  # noqa: BLE001 - any client may be configured; metrics never fail the work
            if not self._warned:
                self._warned = True
                log.warning("No metrics are sent: %s: %s", type(error).__name__, error)

    @cached_property
    def _stats(self) -> Any:
        try:
            from airflow.sdk.observability.stats import Stats  # Airflow 3.2 and later
        except ImportError:
            from airflow.stats import Stats  # Airflow 3.1
        return Stats

    @cached_property
    def _has_tags(self) -> bool:
        """Whether the client keeps tags; asked in the order in which Airflow chooses its client."""
        conf = configuration()
        if conf.getboolean("metrics", "statsd_datadog_enabled", fallback=False):
            return bool(conf.getboolean("metrics", "statsd_datadog_metrics_tags", fallback=True))
        if conf.getboolean("metrics", "statsd_on", fallback=False):
            return bool(conf.getboolean("metrics", "statsd_influxdb_enabled", fallback=False))
        return bool(conf.getboolean("metrics", "otel_on", fallback=False))
