"""What happens to one batch of a stream, on whichever thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_aiopt.data.records import BadRecord
from airflow_provider_aiopt.stages.base import Stage
from airflow_provider_aiopt.stages.preprocess import NAME as PREPROCESS
from airflow_provider_aiopt.telemetry.stream_recorder import StreamRecorder

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class StreamItem:
    """A batch of one shard on its way, or the end of the shard.

    :param shard: the shard's name
    :param batch: the records that are still good; None where the shard ends
    :param bad: the records that were found bad so far
    :param read_at: when the batch had been read, in seconds of ``time.perf_counter``
    """

    shard: str
    batch: pa.RecordBatch | None = None
    bad: tuple[BadRecord, ...] = ()
    read_at: float = 0.0

    def weight(self) -> int:
        """Return the bytes that the item holds."""
        return 0 if self.batch is None else int(self.batch.nbytes)


class StreamStep:
    """Takes items through one stage.

    :param name: the stage's name
    :param stage: the stage; several threads may use it at once
    :param recorder: accounts for it
    :param lanes: threads that it may occupy at once
    """

    def __init__(self, name: str, stage: Stage, recorder: StreamRecorder, *, lanes: int) -> None:
        recorder.stages[name].lanes = lanes
        self._name = name
        self._stage = stage
        self._recorder = recorder

    def __call__(self, item: StreamItem) -> StreamItem:
        """Return *item* with the stage's output; the end of a shard passes through."""
        if item.batch is None or not item.batch.num_rows:
            return item
        with self._recorder.busy(self._name):
            output = self._stage.process(item.batch)
        if self._name == PREPROCESS:
            self._recorder.stages[self._name].evidence.prepared(output.batch)
        self._recorder.count_batch(self._name, output.batch.num_rows, len(output.bad))
        return StreamItem(item.shard, output.batch, item.bad + output.bad, item.read_at)
