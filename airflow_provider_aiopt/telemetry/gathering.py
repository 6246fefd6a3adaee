"""Gathering a stage's evidence while it runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pydantic import JsonValue

from airflow_provider_aiopt.data.parallel import usable_cores
from airflow_provider_aiopt.data.tally import TimeTally
from airflow_provider_aiopt.telemetry.evidence import ColumnFacts, StageEvidence, column_facts
from airflow_provider_aiopt.telemetry.resources import ResourceUse

if TYPE_CHECKING:
    import pyarrow as pa

_DIGITS = 6


class EvidenceTally:
    """What a stage finds out about itself as it runs; made when it begins.

    :param now: a monotonic clock in seconds
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.settings: dict[str, JsonValue] = {}
        self.reads = TimeTally()
        self.writes = TimeTally()
        self.commits = TimeTally()
        self.calls = TimeTally()
        self._now = now
        self._began = now()
        self._setup_s: float | None = None
        self._columns: tuple[ColumnFacts, ...] | None = None

    def first_batch(self) -> None:
        """Note that a batch is there; only the first tells how long the stage took to get ready."""
        if self._setup_s is None:
            self._setup_s = self._now() - self._began

    def prepared(self, batch: pa.RecordBatch) -> None:
        """Note what a batch that preprocessing made is stored as; only the first is looked at."""
        if self._columns is None and batch.num_rows:
            self._columns = column_facts(batch)

    def evidence(self, use: ResourceUse, settings: Mapping[str, JsonValue] | None = None) -> StageEvidence:
        """Return the evidence.

        :param use: what the process used of the machine meanwhile
        :param settings: the settings, where they are not :attr:`settings`
        """
        return StageEvidence(
            settings=dict(self.settings if settings is None else settings),
            cores=usable_cores(),
            host_cores=os.cpu_count() or 1,
            user_s=round(use.user_s, _DIGITS),
            system_s=round(use.system_s, _DIGITS),
            voluntary_switches=use.voluntary_switches,
            involuntary_switches=use.involuntary_switches,
            cpu_pressure=use.cpu_pressure,
            setup_s=None if self._setup_s is None else round(self._setup_s, _DIGITS),
            reads=self.reads.count,
            read_s=round(self.reads.seconds, _DIGITS),
            write_s=round(self.writes.seconds, _DIGITS),
            commits=self.commits.count,
            commit_s=round(self.commits.seconds, _DIGITS),
            calls=self.calls.count,
            call_s=round(self.calls.seconds, _DIGITS),
            columns=self._columns or (),
        )
