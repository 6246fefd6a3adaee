"""The end of a stream: results and quarantine, committed shard by shard."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from airflow_provider_aiopt.data.manifest import ShardManifest, ShardRef
from airflow_provider_aiopt.data.quarantine import write_quarantine
from airflow_provider_aiopt.data.records import BadRecord
from airflow_provider_aiopt.data.shards import BatchWriter
from airflow_provider_aiopt.runner.accounting import check_balance, check_fraction
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.results import results_folder, results_writer
from airflow_provider_aiopt.runner.streaming.plan import OtherShards, PlannedShard
from airflow_provider_aiopt.runner.streaming.steps import StreamItem
from airflow_provider_aiopt.stages.outputs.base import OutputHead
from airflow_provider_aiopt.telemetry.reports import QUARANTINED_BY, STAGES
from airflow_provider_aiopt.telemetry.stream_recorder import StreamRecorder


class StreamSink:
    """Takes the items of a stream in order; a shard's file appears when the shard ends.

    Where the block raises, the shard under way leaves no trace.

    :param context: the run
    :param recorder: accounts for the writing
    :param head: what makes the results
    :param shards: the shards that this stream works on
    :param records: records of the whole run, by which ``execution.max_bad_fraction`` is judged
    :param others: the run's other shards, where other tasks stream them meanwhile
    """

    def __init__(
        self,
        context: RunContext,
        recorder: StreamRecorder,
        head: OutputHead,
        shards: Iterable[PlannedShard],
        *,
        records: int,
        others: OtherShards | None = None,
    ) -> None:
        self._context = context
        self._recorder = recorder
        self._head = head
        self._shards: Mapping[str, PlannedShard] = {shard.name: shard for shard in shards}
        self._records = records
        self._others = others
        self._folder = results_folder(context)
        self._writer: BatchWriter | None = None
        self._bad: list[BadRecord] = []
        self._bad_before = 0
        self._reasons: Mapping[str, Counter[str]] = {stage: Counter() for stage in STAGES}

    def __enter__(self) -> Self:
        """Return the sink."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop what is not committed."""
        if self._writer is not None:
            self._writer.__exit__(kind, error, trace)

    def skip(self, shard: PlannedShard) -> bool:
        """Return whether an earlier attempt committed *shard*, counting what it holds."""
        manifest = shard.finished
        if manifest is None:
            return False
        self._bad_before += manifest.bad
        self._recorder.count_resumed(manifest.records, manifest.rows, manifest.bad)
        return True

    def take(self, item: StreamItem) -> None:
        """Write one batch's results, or commit the shard that ends."""
        with self._recorder.waiting_for_output(STAGES[-1]):
            if self._writer is None:
                self._writer = results_writer(self._context, self._head, item.shard).__enter__()
            self._bad.extend(item.bad)
            if item.batch is not None:
                self._writer.write(item.batch)
            else:
                with self._recorder.stages[STAGES[-1]].evidence.commits.timed():
                    self._commit(self._shards[item.shard], self._writer)
        if item.batch is not None and self._context.on_answers is not None:
            self._context.on_answers(item.batch.num_rows + len(item.bad), time.perf_counter() - item.read_at)

    def withdraw(self, shards: Iterable[str]) -> None:
        """Remove what was published of a run that fails as a whole.

        :param shards: names of all its shards
        """
        for shard in shards:
            self._folder.remove(f"{shard}.parquet")

    def _commit(self, shard: PlannedShard, writer: BatchWriter) -> None:
        bad = self._bad
        # Rows are what was read, should their file have changed since it was counted.
        listed = self._context.spec.source.format == "files"
        records = shard.records if listed else writer.rows + len(bad)
        check_balance(ShardRef(STAGES[-1], shard.name), records, writer.rows, len(bad))
        self._check_fraction(len(bad))
        for stage in STAGES:
            found = [record for record in bad if record.stage == stage]
            write_quarantine(self._context.workspace.quarantine, stage, shard.name, found)
        self._writer = None
        writer.__exit__(None, None, None)
        manifest = ShardManifest(
            stage=STAGES[-1],
            shard=shard.name,
            fingerprint=shard.fingerprint,
            records=records,
            rows=writer.rows,
            quarantined_before=len(bad),
            file=writer.name,
            file_bytes=writer.bytes,
        )
        self._context.workspace.commit(manifest)
        self._recorder.stages[STAGES[-1]].bytes_out += writer.bytes
        self._count_reasons(bad)
        self._bad_before += len(bad)
        self._bad = []
        if self._others is not None:
            self._check_fraction(0)  # again: of tasks that commit at once, one sees what all have found

    def _count_reasons(self, bad: Iterable[BadRecord]) -> None:
        for record in bad:
            self._reasons[record.stage][record.error_class] += 1
        for stage, reasons in self._reasons.items():
            if reasons:
                self._recorder.stages[stage].details[QUARANTINED_BY] = dict[str, JsonValue](reasons)

    def _check_fraction(self, bad: int) -> None:
        elsewhere = 0 if self._others is None else self._others.bad()
        check_fraction(self._context, self._bad_before + bad + elsewhere, self._records)
