"""Running one stage after ingestion over one shard or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.data.manifest import ShardManifest, ShardRef
from airflow_provider_aiopt.data.quarantine import write_quarantine
from airflow_provider_aiopt.data.records import BadRecord
from airflow_provider_aiopt.data.shards import BatchWriter, read_batches
from airflow_provider_aiopt.runner.accounting import check_balance
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.fingerprints import derived
from airflow_provider_aiopt.runner.resume import finished_shard
from airflow_provider_aiopt.stages.base import Stage
from airflow_provider_aiopt.telemetry.recorder import StageRecorder

if TYPE_CHECKING:
    import pyarrow as pa


class ShardRunner:
    """Runs one stage shard by shard; finished shards are left alone.

    :param context: the run
    :param recorder: accounts for the stage, and names it
    :param settings: what the stage's results depend on beside its input, as text
    :param make_stage: loads the stage; called at most once, when a shard really needs work
    :param target: where the shards' data files go
    :param make_writer: opens the file that a shard, given by its name, is written to
    """

    def __init__(
        self,
        context: RunContext,
        recorder: StageRecorder,
        *,
        settings: str,
        make_stage: Callable[[], Stage],
        target: Folder,
        make_writer: Callable[[str], BatchWriter],
    ) -> None:
        self._context = context
        self._recorder = recorder
        self._name = recorder.stage
        self._settings = settings
        self._make_stage = make_stage
        self._make_writer = make_writer
        self._target = target
        self._stage: Stage | None = None

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
        with self._make_writer(given.shard) as writer:
            for batch in self._batches(given):
                output = stage.process(batch)
                bad.extend(output.bad)
                with recorder.phase("wait_output"):
                    writer.write(output.batch)
            check_balance(ShardRef(self._name, given.shard), given.records, writer.rows, given.bad + len(bad))
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

    def _ready(self) -> Stage:
        if self._stage is None:
            self._stage = self._make_stage()
        return self._stage

    def _close(self) -> None:
        if self._stage is not None:
            self._stage.close()
