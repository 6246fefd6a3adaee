"""Running one stage after ingestion over one shard or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from airflow_provider_aiopt.data.manifest import ShardManifest, ShardRef
from airflow_provider_aiopt.data.quarantine import write_quarantine
from airflow_provider_aiopt.data.records import BadRecord
from airflow_provider_aiopt.data.shards import BatchWriter, parquet_writer, read_batches, shard_writer
from airflow_provider_aiopt.runner.accounting import check_balance
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.fingerprints import derived
from airflow_provider_aiopt.runner.results import results_folder
from airflow_provider_aiopt.runner.resume import finished_shard
from airflow_provider_aiopt.stages.base import Stage
from airflow_provider_aiopt.telemetry.recorder import StageRecorder
from airflow_provider_aiopt.telemetry.reports import STAGES

if TYPE_CHECKING:
    import pyarrow as pa


class ShardRunner:
    """Runs one stage shard by shard; finished shards are left alone.

    :param context: the run
    :param recorder: accounts for the stage, and names it
    :param settings: what the stage's results depend on beside its input, as text
    :param make_stage: loads the stage; called at most once, when a shard really needs work
    """

    def __init__(
        self,
        context: RunContext,
        recorder: StageRecorder,
        *,
        settings: str,
        make_stage: Callable[[], Stage],
    ) -> None:
        self._context = context
        self._recorder = recorder
        self._name = recorder.stage
        self._settings = settings
        self._make_stage = make_stage
        self._stage: Stage | None = None
        self._makes_results = self._name == STAGES[-1]
        workspace = context.workspace
        self._target = results_folder(context) if self._makes_results else workspace.stage(self._name)

    def run(self, refs: Sequence[ShardRef]) -> tuple[ShardRef, ...]:
        """Work on the shards that *refs* name and return references to what was made of them."""
        with ExitStack() as stack:
            stack.callback(self._close)
            return tuple(self._run_shard(ref) for ref in refs)

    def _run_shard(self, ref: ShardRef) -> ShardRef:
        workspace, recorder = self._context.workspace, self._recorder
        given = workspace.manifest(ref)
        fingerprint = derived(self._settings, given.fingerprint)
        made = ShardRef(self._name, ref.shard)
        manifest = finished_shard(self._context, made, fingerprint, self._target)
        if manifest is not None:
            recorder.resumed_items += manifest.rows
        else:
            manifest = self._work(given, fingerprint)
        recorder.items_in += given.rows
        recorder.items_out += manifest.rows
        recorder.quarantined += manifest.quarantined
        return manifest.ref

    def _work(self, given: ShardManifest, fingerprint: str) -> ShardManifest:
        workspace, recorder = self._context.workspace, self._recorder
        stage = self._ready()
        bad: list[BadRecord] = []
        with self._writer(given.shard) as writer:
            for batch in self._batches(given):
                output = stage.process(batch)
                bad.extend(output.bad)
                with recorder.phase("wait_output"):
                    writer.write(output.batch)
            # Committed before the file appears: a result never stands without its quarantine.
            with recorder.phase("wait_output"):
                write_quarantine(workspace.quarantine, self._name, given.shard, bad)
        recorder.bytes_in += given.file_bytes
        recorder.bytes_out += writer.bytes
        manifest = ShardManifest(
            stage=self._name,
            shard=given.shard,
            fingerprint=fingerprint,
            records=given.records,
            rows=writer.rows,
            quarantined=len(bad),
            quarantined_before=given.bad,
            file=writer.name,
            file_bytes=writer.bytes,
        )
        check_balance(manifest)
        workspace.commit(manifest)
        return manifest

    def _batches(self, given: ShardManifest) -> Iterator[pa.RecordBatch]:
        batches = read_batches(self._context.workspace.stage(given.stage), given.file)
        while True:
            with self._recorder.phase("wait_input"):
                batch = next(batches, None)
            if batch is None:
                return
            self._recorder.batch_sizes[batch.num_rows] += 1
            yield batch

    def _writer(self, shard: str) -> BatchWriter:
        if not self._makes_results:
            return shard_writer(self._target, f"{shard}.arrow")
        codec = self._context.spec.sink.compression
        return parquet_writer(self._target, f"{shard}.parquet", compression=codec)

    def _ready(self) -> Stage:
        if self._stage is None:
            self._stage = self._make_stage()
        return self._stage

    def _close(self) -> None:
        if self._stage is not None:
            self._stage.close()
