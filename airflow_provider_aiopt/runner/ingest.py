"""Running ingestion: one source in, the run's shards out."""

from __future__ import annotations

from airflow_provider_aiopt.data.manifest import ShardManifest, ShardRef, shard_name
from airflow_provider_aiopt.data.quarantine import write_quarantine
from airflow_provider_aiopt.data.records import BadRecord
from airflow_provider_aiopt.data.shards import BatchWriter, shard_writer
from airflow_provider_aiopt.data.source import RecordSource
from airflow_provider_aiopt.runner.accounting import check_bad_fraction, check_balance
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.index import RunIndex, open_source, write_index
from airflow_provider_aiopt.runner.results import forget_earlier_run
from airflow_provider_aiopt.runner.resume import finished_shard
from airflow_provider_aiopt.stages.ingest import NAME, IngestStage
from airflow_provider_aiopt.telemetry.recorder import StageRecorder

Bounds = tuple[int, int]


def ingest(context: RunContext, recorder: StageRecorder) -> tuple[ShardRef, ...]:
    """List the source, read its records and write them as shards.

    Each shard gets an equal share of the records, in the order of the listing.

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
        records = source.count()
    try:
        with IngestStage(
            source, batch_rows=context.spec.execution.batch_rows, workers=context.workers
        ) as stage:
            runner = _IngestRunner(context, recorder, source, stage)
            cuts = cut_evenly(records, context.spec.execution.shards)
            refs = tuple(runner.run(shard_name(number), bounds) for number, bounds in enumerate(cuts))
    finally:
        recorder.details["source_retries"] = source.retries
    index = RunIndex(records=recorder.items_in, shards=tuple(ref.shard for ref in refs))
    with recorder.phase("wait_output"):
        forget_earlier_run(context.workspace, index)
        write_index(folder, index)
    check_bad_fraction(context, {})
    return refs


def cut_evenly(records: int, shards: int) -> list[Bounds]:
    """Cut *records* into at most *shards* ranges, none empty, whose lengths differ by one at most."""
    count = min(shards, records)
    return [(number * records // count, (number + 1) * records // count) for number in range(count)]


class _IngestRunner:
    """Reads shard by shard; finished shards are left alone."""

    def __init__(
        self, context: RunContext, recorder: StageRecorder, source: RecordSource, stage: IngestStage
    ) -> None:
        self._context = context
        self._recorder = recorder
        self._source = source
        self._stage = stage
        self._folder = context.workspace.stage(NAME)

    def run(self, shard: str, bounds: Bounds) -> ShardRef:
        recorder = self._recorder
        fingerprint = self._source.fingerprint(*bounds)
        manifest = finished_shard(self._context, ShardRef(NAME, shard), fingerprint, self._folder)
        if manifest is not None:
            recorder.resumed_items += manifest.rows
        else:
            manifest = self._read(shard, bounds, fingerprint)
        recorder.items_in += manifest.records
        recorder.items_out += manifest.rows
        recorder.quarantined += manifest.quarantined
        return manifest.ref

    def _read(self, shard: str, bounds: Bounds, fingerprint: str) -> ShardManifest:
        with shard_writer(self._folder, f"{shard}.arrow") as writer:
            bad = self._copy(bounds, writer)
            # Rows are what was read, should their file have changed since it was counted; files are what was
            # listed.
            listed = self._context.spec.source.format == "files"
            records = bounds[1] - bounds[0] if listed else writer.rows + len(bad)
            check_balance(ShardRef(NAME, shard), records, writer.rows, len(bad))
            with self._recorder.phase("wait_output"):
                write_quarantine(self._context.workspace.quarantine, NAME, shard, bad)
        self._recorder.bytes_out += writer.bytes
        manifest = ShardManifest(
            stage=NAME,
            shard=shard,
            fingerprint=fingerprint,
            records=records,
            rows=writer.rows,
            quarantined=len(bad),
            file=writer.name,
            file_bytes=writer.bytes,
        )
        self._context.workspace.commit(manifest)
        return manifest

    def _copy(self, bounds: Bounds, writer: BatchWriter) -> list[BadRecord]:
        """Copy the records within *bounds* to the shard and return the bad ones."""
        recorder = self._recorder
        bad: list[BadRecord] = []
        batches = self._stage.read(*bounds)
        while True:
            with recorder.phase("wait_input"):
                output = next(batches, None)
            if output is None:
                return bad
            bad.extend(output.bad)
            recorder.bytes_in += output.batch.column("payload").nbytes
            recorder.batch_sizes[output.batch.num_rows] += 1
            with recorder.phase("wait_output"):
                writer.write(output.batch)
