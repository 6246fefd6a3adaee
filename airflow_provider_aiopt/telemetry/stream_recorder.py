"""Recording stages that run side by side in one process."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from airflow_provider_aiopt.data.cache.guard import CacheTally
from airflow_provider_aiopt.data.parallel import usable_cores
from airflow_provider_aiopt.telemetry.gathering import EvidenceTally
from airflow_provider_aiopt.telemetry.hardware.stage import DEFAULT_INTERVAL_S, StageHardware
from airflow_provider_aiopt.telemetry.progress import NullProgress, Progress
from airflow_provider_aiopt.telemetry.recorder import utc_now
from airflow_provider_aiopt.telemetry.reports import STAGES, StageReport, TaskIdentity
from airflow_provider_aiopt.telemetry.resources import ResourceUse

_ERROR_LENGTH = 1000


@dataclass
class StageTally:
    """What one stage has done so far; threads change it through :class:`StreamRecorder` only.

    :param lanes: threads that the stage may occupy at once
    """

    lanes: int = 1
    busy_s: float = 0.0
    cpu_s: float = 0.0
    model_load_s: float = 0.0
    wait_output_s: float = 0.0
    items_in: int = 0
    items_out: int = 0
    quarantined: int = 0
    resumed_items: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    batch_sizes: Counter[int] = field(default_factory=Counter)
    cache: CacheTally = field(default_factory=CacheTally)
    runtime: str | None = None
    details: dict[str, JsonValue] = field(default_factory=dict)
    evidence: EvidenceTally = field(default_factory=EvidenceTally)


class StreamRecorder:
    """Times and counts the four stages of a stream; a context manager with a report for each when it ends.

    A stage's ``busy_s`` is the time its threads worked over the threads it may occupy: a stage that is busy
    all the time cannot go faster.  The rest of the wall time it waited for input, or for results to be
    written.

    :param pipeline: name of the pipeline
    :param shard: the shard worked on, None for several
    :param task: the Airflow task, None outside Airflow
    :param progress: is told how far the stages are
    :param hardware_interval_s: seconds between two samples of the hardware, 0 for none
    :param today: wall clock, in UTC
    """

    def __init__(
        self,
        pipeline: str,
        *,
        shard: str | None = None,
        task: TaskIdentity | None = None,
        progress: Progress | None = None,
        hardware_interval_s: float = DEFAULT_INTERVAL_S,
        today: Callable[[], datetime] = utc_now,
    ) -> None:
        self.pipeline = pipeline
        self.shard = shard
        self.task = task
        self.stages: Mapping[str, StageTally] = {stage: StageTally() for stage in STAGES}
        self._progress = progress or NullProgress()
        self._expected = dict.fromkeys(STAGES, 0)
        self._today = today
        self._started_at = self._ended_at = today()
        self._started = time.perf_counter()
        self._wall_s = 0.0
        self._use = ResourceUse()
        self._hardware = StageHardware(hardware_interval_s)
        self._lock = threading.Lock()
        self._error: str | None = None

    def __enter__(self) -> Self:
        """Begin; the clock has run since the recorder was made."""
        self._hardware.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the account."""
        self._wall_s = time.perf_counter() - self._started
        self._use.stop()
        self._ended_at = self._today()
        self._hardware.end()
        if error is not None:
            self._error = f"{type(error).__name__}: {error}"[:_ERROR_LENGTH]

    @contextmanager
    def busy(self, stage: str) -> Iterator[None]:
        """Account the block's time, on whichever thread, to *stage*."""
        wall, cpu = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
            with self._lock:
                tally = self.stages[stage]
                tally.busy_s += wall
                tally.cpu_s += cpu

    def add_cpu(self, stage: str, seconds: float) -> None:
        """Account CPU time to *stage* that was spent on no thread of its blocks."""
        with self._lock:
            self.stages[stage].cpu_s += seconds

    @contextmanager
    def waiting_for_output(self, stage: str) -> Iterator[None]:
        """Account the block's time to *stage*'s wait for results to be written."""
        began = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self.stages[stage].wait_output_s += time.perf_counter() - began

    @contextmanager
    def loading_model(self) -> Iterator[None]:
        """Account the block's time to the loading of the model."""
        began = time.perf_counter()
        with self.busy("inference"):
            yield
        self.stages["inference"].model_load_s += time.perf_counter() - began

    def expect(self, records: int) -> None:
        """Note how many *records* enter the first stage in all."""
        for stage in STAGES:
            self._expected[stage] = records
            self._progress.expect(stage, records)

    def count_resumed(self, records: int, rows: int, bad: int) -> None:
        """Count a shard of *records* that an earlier attempt turned into *rows* results and *bad* records."""
        with self._lock:
            for tally in self.stages.values():
                tally.items_in += rows
                tally.items_out += rows
                tally.resumed_items += rows
            entrance = self.stages[STAGES[0]]
            entrance.items_in += records - rows
            entrance.quarantined += bad
        for stage in STAGES:
            self._progress.advance(stage, records if stage == STAGES[0] else rows)
        self._expect_fewer(STAGES[0], bad)

    def count_batch(self, stage: str, rows: int, bad: int) -> None:
        """Count one batch of *rows* good and *bad* bad records that leaves *stage*."""
        with self._lock:
            tally = self.stages[stage]
            tally.evidence.first_batch()
            tally.items_in += rows + bad
            tally.items_out += rows
            tally.quarantined += bad
            tally.batch_sizes[rows + bad] += 1
        self._progress.advance(stage, rows + bad)
        self._expect_fewer(stage, bad)

    def _expect_fewer(self, stage: str, bad: int) -> None:
        """Note that *bad* records do not get beyond *stage*."""
        for later in STAGES[STAGES.index(stage) + 1 :] if bad else ():
            with self._lock:
                self._expected[later] -= bad
                left = self._expected[later]
            self._progress.expect(later, left)

    def reports(self) -> tuple[StageReport, ...]:
        """Return the stages' reports in order."""
        return tuple(self._report(stage, tally) for stage, tally in self.stages.items())

    def _report(self, stage: str, tally: StageTally) -> StageReport:
        busy = min(tally.busy_s / tally.lanes, self._wall_s)
        wait_output = min(tally.wait_output_s, self._wall_s - busy)
        hardware = self._hardware.use
        if hardware is not None and stage != STAGES[0]:  # one process: its series is kept once
            hardware = hardware.without_series()
        return StageReport(
            pipeline=self.pipeline,
            stage=stage,
            shard=self.shard,
            task=self.task,
            started_at=self._started_at,
            ended_at=self._ended_at,
            wall_s=self._wall_s,
            busy_s=busy,
            wait_input_s=max(0.0, self._wall_s - busy - wait_output),
            wait_output_s=wait_output,
            model_load_s=min(tally.model_load_s, busy),
            items_in=tally.items_in,
            items_out=tally.items_out,
            quarantined=tally.quarantined,
            resumed_items=tally.resumed_items,
            bytes_in=tally.bytes_in,
            bytes_out=tally.bytes_out,
            batch_sizes=dict(sorted(tally.batch_sizes.items())),
            cache_hits=tally.cache.hits,
            cache_misses=tally.cache.misses,
            cache_errors=tally.cache.errors,
            cpu_s=tally.cpu_s,
            cpu_utilisation=tally.cpu_s / (self._wall_s * usable_cores()) if self._wall_s else 0.0,
            gpu_utilisation=self._hardware.gpu_utilisation,
            peak_memory_bytes=self._use.peak_memory_bytes,
            runtime=tally.runtime,
            host=socket.gethostname(),
            pid=os.getpid(),
            state="failed" if self._error else "success",
            error=self._error,
            hardware=hardware,
            evidence=tally.evidence.evidence(self._use),
            details={**tally.details, "mode": "streaming", "threads": tally.lanes},
        )
