"""The end of a stage: batches into shard files, each committed when it is whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, cast

from airflow_provider_aiopt.data.manifest import ShardManifest, ShardRef
from airflow_provider_aiopt.data.quarantine import write_quarantine
from airflow_provider_aiopt.data.records import BadRecord
from airflow_provider_aiopt.data.shards import BatchWriter
from airflow_provider_aiopt.data.tally import TimeTally
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.runner.accounting import check_balance

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class ShardWork:
    """One shard that a stage has to make.

    :param shard: its name
    :param fingerprint: digest of everything its content depends on
    :param records: records that the source gave for it; None where only reading tells
    :param bad_before: records of it that earlier stages quarantined
    """

    shard: str
    fingerprint: str
    records: int | None
    bad_before: int = 0


@dataclass(frozen=True, slots=True)
class ShardItem:
    """A batch of one shard on its way through a stage, or the end of the shard.

    :param work: the shard
    :param batch: the records that are good; None where the shard ends
    :param bad: the records that the stage found bad
    """

    work: ShardWork
    batch: pa.RecordBatch | None = None
    bad: tuple[BadRecord, ...] = ()

    def weight(self) -> int:
        """Return the bytes that the item holds."""
        return 0 if self.batch is None else int(self.batch.nbytes)


class ShardOutput:
    """Takes the items of a stage in order; a shard's file appears when the shard ends.

    Where the block raises, the shard under way leaves no trace.

    :param workspace: the run's folder
    :param stage: name of the stage
    :param make_writer: opens the file that a shard, given by its name, is written to
    :param writes: counts the batches that are written, and adds up the time that it takes
    :param commits: the same for the shards that are committed
    """

    def __init__(
        self,
        workspace: Workspace,
        stage: str,
        make_writer: Callable[[str], BatchWriter],
        *,
        writes: TimeTally | None = None,
        commits: TimeTally | None = None,
    ) -> None:
        self.made: dict[str, ShardManifest] = {}
        """What is committed, by the shard's name."""
        self.reasons: Counter[str] = Counter()
        """How many records are in quarantine for which class of error."""
        self._workspace = workspace
        self._stage = stage
        self._make_writer = make_writer
        self._writes = writes or TimeTally()
        self._commits = commits or TimeTally()
        self._writer: BatchWriter | None = None
        self._bad: list[BadRecord] = []

    def __enter__(self) -> Self:
        """Return the output."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop what is not committed."""
        if self._writer is not None:
            failure = error or RuntimeError("the stage ended before the shard did")
            self._writer.__exit__(type(failure), failure, failure.__traceback__)

    def take(self, item: ShardItem) -> None:
        """Write one batch, or commit the shard that ends."""
        if self._writer is None:
            self._writer = self._make_writer(item.work.shard).__enter__()
        self._bad.extend(item.bad)
        if item.batch is not None:
            with self._writes.timed():
                self._writer.write(item.batch)
        else:
            with self._commits.timed():
                self._commit(item.work, self._writer)

    def _commit(self, work: ShardWork, writer: BatchWriter) -> None:
        bad = self._bad
        records = writer.rows + len(bad) + work.bad_before if work.records is None else work.records
        check_balance(ShardRef(self._stage, work.shard), records, writer.rows, work.bad_before + len(bad))
        # Before the file appears: a result never stands without its quarantine.
        write_quarantine(self._workspace.quarantine, self._stage, work.shard, bad)
        self._writer = None
        writer.__exit__(None, None, None)
        manifest = ShardManifest(
            stage=cast("Literal['ingest', 'preprocess', 'inference', 'postprocess']", self._stage),
            shard=work.shard,
            fingerprint=work.fingerprint,
            records=records,
            rows=writer.rows,
            quarantined=len(bad),
            quarantined_before=work.bad_before,
            file=writer.name,
            file_bytes=writer.bytes,
        )
        self._workspace.commit(manifest)
        self.made[work.shard] = manifest
        self.reasons.update(record.error_class for record in bad)
        self._bad = []
