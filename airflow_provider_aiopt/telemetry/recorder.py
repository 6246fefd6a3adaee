"""Recording one stage as it runs."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from airflow_provider_aiopt.data.cache.guard import CacheTally
from airflow_provider_aiopt.telemetry.clock import Phase, StageClock
from airflow_provider_aiopt.telemetry.gathering import EvidenceTally
from airflow_provider_aiopt.telemetry.hardware.stage import DEFAULT_INTERVAL_S, StageHardware
from airflow_provider_aiopt.telemetry.reports import StageReport, TaskIdentity
from airflow_provider_aiopt.telemetry.resources import ResourceUse

_ERROR_LENGTH = 1000


def utc_now() -> datetime:
    """Return the wall-clock time in UTC."""
    return datetime.now(UTC)


class StageRecorder:
    """Counts and times one stage; a context manager whose :meth:`report` is ready when the block ends.

    Where the block raises, the report says so and the error goes on.

    :param pipeline: name of the pipeline
    :param stage: name of the stage
    :param shard: the shard worked on, None for several or none
    :param task: the Airflow task, None outside Airflow
    :param hardware_interval_s: seconds between two samples of the hardware, 0 for none
    :param today: wall clock, in UTC
    """

    def __init__(
        self,
        pipeline: str,
        stage: str,
        *,
        shard: str | None = None,
        task: TaskIdentity | None = None,
        hardware_interval_s: float = DEFAULT_INTERVAL_S,
        today: Callable[[], datetime] = utc_now,
    ) -> None:
        self.pipeline = pipeline
        self.stage = stage
        self.shard = shard
        self.task = task
        self.items_in = 0
        self.items_out = 0
        self.quarantined = 0
        self.resumed_items = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.batch_sizes: Counter[int] = Counter()
        self.cache = CacheTally()
        self.runtime: str | None = None
        self.details: dict[str, JsonValue] = {}
        self.evidence = EvidenceTally()
        self._today = today
        self._started_at = self._ended_at = today()
        self._clock = StageClock()
        self._use = ResourceUse()
        self._hardware = StageHardware(hardware_interval_s)
        self._error: str | None = None

    def phase(self, name: Phase) -> AbstractContextManager[None]:
        """Account a block's time to *name*; see :class:`StageClock`."""
        return self._clock.phase(name)

    def working(self) -> AbstractContextManager[None]:
        """Account a block that runs on another thread than the stage's driver; see :class:`StageClock`."""
        return self._clock.working()

    def set_lanes(self, lanes: int) -> None:
        """Say how many such blocks at once keep the stage fully busy, before the first of them."""
        self._clock.lanes = lanes
        self.details["threads"] = lanes

    def __enter__(self) -> Self:
        """Begin; the clock has run since the recorder was made."""
        self._hardware.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the account."""
        self._clock.stop()
        self._use.stop()
        self._ended_at = self._today()
        self._hardware.end()
        if error is not None:
            self._error = f"{type(error).__name__}: {error}"[:_ERROR_LENGTH]

    def report(self) -> StageReport:
        """Return the stage's report."""
        wall = self._clock.wall_s
        model_load = self._clock.seconds("model_load")
        return StageReport(
            pipeline=self.pipeline,
            stage=self.stage,
            shard=self.shard,
            task=self.task,
            started_at=self._started_at,
            ended_at=self._ended_at,
            wall_s=wall,
            busy_s=self._clock.seconds("busy") + model_load,
            wait_input_s=self._clock.seconds("wait_input"),
            wait_output_s=self._clock.seconds("wait_output"),
            model_load_s=model_load,
            items_in=self.items_in,
            items_out=self.items_out,
            quarantined=self.quarantined,
            resumed_items=self.resumed_items,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            batch_sizes=dict(sorted(self.batch_sizes.items())),
            cache_hits=self.cache.hits,
            cache_misses=self.cache.misses,
            cache_errors=self.cache.errors,
            cpu_s=self._use.cpu_s,
            cpu_utilisation=self._use.utilisation(wall),
            gpu_utilisation=self._hardware.gpu_utilisation,
            peak_memory_bytes=self._use.peak_memory_bytes,
            runtime=self.runtime,
            host=socket.gethostname(),
            pid=os.getpid(),
            state="failed" if self._error else "success",
            error=self._error,
            hardware=self._hardware.use,
            evidence=self.evidence.evidence(self._use),
            details=self.details,
        )
