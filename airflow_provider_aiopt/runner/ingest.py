"""Running ingestion: one source in, the run's shards out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial

from pydantic import JsonValue

from airflow_provider_aiopt.data.manifest import ShardManifest, ShardRef, shard_name
from airflow_provider_aiopt.data.overlap import ReadAhead, WriteBehind
from airflow_provider_aiopt.data.shards import shard_writer
from airflow_provider_aiopt.data.source import RecordSource
from airflow_provider_aiopt.runner.accounting import check_bad_fraction
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.cutting import Bounds, cut_source
from airflow_provider_aiopt.runner.index import RunIndex, open_source, write_index
from airflow_provider_aiopt.runner.profiling import show_subjects
from airflow_provider_aiopt.runner.results import forget_earlier_run, remove_foreign_results, results_folder
from airflow_provider_aiopt.runner.resume import finished_shard
from airflow_provider_aiopt.runner.settings import settings_in_effect
from airflow_provider_aiopt.runner.shard_output import ShardItem, ShardOutput, ShardWork
from airflow_provider_aiopt.stages.ingest import NAME, IngestStage
from airflow_provider_aiopt.telemetry.recorder import StageRecorder
from airflow_provider_aiopt.telemetry.reports import QUARANTINED_BY

_PARTS = 2  # of the bytes in flight: read ahead, waiting to be written


def ingest(context: RunContext, recorder: StageRecorder) -> tuple[ShardRef, ...]:
    """List the source, read its records and write them as shards.

    Each shard gets an equal share, in the order of the listing.

    :returns: references to the shards, none for an empty source
    :raises SourceError: if the source cannot be listed
    :raises TooManyBadRecordsError: if more records are bad than the spec allows
    """
    folder = context.workspace.stage(NAME)
    with recorder.phase("wait_input"):
        source = open_source(
            folder,
            context.spec.source,
            resolver=context.resolver,
            allowed_callables=context.allowed_callables,
        )
        cuts = cut_source(context, source)
    recorder.evidence.reads = source.reads
    recorder.evidence.settings = settings_in_effect(context, NAME)
    context.progress.expect(NAME, source.count())
    try:
        with (
            closing(source),
            IngestStage(
                source, batch_rows=context.spec.execution.batch_rows, workers=context.readers
            ) as stage,
        ):
            show_subjects(context.probe, NAME, stage, source)
            refs = _IngestRunner(context, recorder, source, stage).run(cuts)
    finally:
        recorder.details["source_retries"] = source.retries
    index = RunIndex(records=recorder.items_in, shards=tuple(ref.shard for ref in refs))
    with recorder.phase("wait_output"):
        forget_earlier_run(context.workspace, index)
        if not refs:  # with no shard to map, Airflow skips postprocessing, which would do this
            remove_foreign_results(results_folder(context), index)
        write_index(folder, index)
    check_bad_fraction(context, {})
    return refs


class _IngestRunner:
    """Reads shard by shard, ahead of the writing; finished shards are left alone."""

    def __init__(
        self, context: RunContext, recorder: StageRecorder, source: RecordSource, stage: IngestStage
    ) -> None:
        self._context = context
        self._recorder = recorder
        self._source = source
        self._stage = stage
        self._folder = context.workspace.stage(NAME)
        self._budget = context.spec.execution.max_bytes_in_flight / _PARTS

    def run(self, cuts: Sequence[Bounds]) -> tuple[ShardRef, ...]:
        """Read what is not there yet and return references to all shards."""
        todo: list[tuple[ShardWork, Bounds]] = []
        for number, bounds in enumerate(cuts):
            shard, fingerprint = shard_name(number), self._source.fingerprint(*bounds)
            manifest = finished_shard(self._context, ShardRef(NAME, shard), fingerprint, self._folder)
            if manifest is None:
                # Rows are what is read, should their file change after it was counted; files are what was
                # listed.
                listed = self._context.spec.source.format == "files"
                todo.append(
                    (ShardWork(shard, fingerprint, bounds[1] - bounds[0] if listed else None), bounds)
                )
            else:
                self._recorder.resumed_items += manifest.rows
                self._count(manifest)
                self._context.progress.advance(NAME, manifest.records)
        if todo:
            self._make(todo)
        return tuple(ShardRef(NAME, shard_name(number)) for number in range(len(cuts)))

    def _make(self, todo: Sequence[tuple[ShardWork, Bounds]]) -> None:
        output = ShardOutput(
            self._context.workspace,
            NAME,
            lambda shard: shard_writer(self._folder, f"{shard}.arrow"),
            writes=self._recorder.evidence.writes,
            commits=self._recorder.evidence.commits,
        )
        try:
            with ExitStack() as stack:
                stack.enter_context(output)
                behind = stack.enter_context(WriteBehind(budget=self._budget))
                for item in self._claimed(self._ahead(self._read(todo), stack)):
                    with self._recorder.phase("wait_output"):
                        behind.submit(partial(output.take, item), item.weight())
                with self._recorder.phase("wait_output"):
                    behind.drain()
        finally:
            if output.reasons:
                self._recorder.details[QUARANTINED_BY] = dict[str, JsonValue](output.reasons)
            for manifest in output.made.values():
                self._count(manifest)
                self._recorder.bytes_out += manifest.file_bytes

    def _ahead(self, items: Iterator[ShardItem], stack: ExitStack) -> Iterator[ShardItem]:
        if self._context.spec.source.format == "python":
            return items  # few data sets are safe on several threads: this one has counted it
        return stack.enter_context(ReadAhead(items, weigh=ShardItem.weight, budget=self._budget))

    def _read(self, todo: Sequence[tuple[ShardWork, Bounds]]) -> Iterator[ShardItem]:
        """Yield the batches of all shards in order, each shard followed by its end."""
        for work, bounds in todo:
            for output in self._stage.read(*bounds):
                yield ShardItem(work, output.batch, output.bad)
            yield ShardItem(work)

    def _claimed(self, items: Iterator[ShardItem]) -> Iterator[ShardItem]:
        recorder = self._recorder
        while True:
            with recorder.phase("wait_input"):
                item = next(items, None)
            if item is None:
                return
            if item.batch is not None:
                recorder.evidence.first_batch()
                recorder.bytes_in += item.batch.column("payload").nbytes
                recorder.batch_sizes[item.batch.num_rows] += 1
                self._context.progress.advance(NAME, item.batch.num_rows + len(item.bad))
            yield item

    def _count(self, manifest: ShardManifest) -> None:
        self._recorder.items_in += manifest.records
        self._recorder.items_out += manifest.rows
        self._recorder.quarantined += manifest.quarantined
