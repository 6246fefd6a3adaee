"""Ingestion: from a source's records to batches of payloads with content hashes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from airflow_provider_aiopt.data.columns import large_bytes_column, text_column
from airflow_provider_aiopt.data.records import BadRecord, Record
from airflow_provider_aiopt.data.source import RecordSource
from airflow_provider_aiopt.stages.base import StageOutput

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "ingest"
_BATCH_BYTES = 32 * 1024 * 1024


class IngestStage:
    """Reads a source into batches of at most *batch_rows* records and about 32 MiB.

    :param source: the listed source
    :param batch_rows: records per batch
    :param workers: threads that read side by side
    """

    def __init__(self, source: RecordSource, *, batch_rows: int, workers: int) -> None:
        self._source = source
        self._batch_rows = batch_rows
        self._workers = workers
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="aiopt-ingest")

    def read(self, start: int, stop: int) -> Iterator[StageOutput]:
        """Yield records *start* to *stop* of the source, batch by batch."""
        records: list[Record] = []
        bad: list[BadRecord] = []
        size = 0
        for item in self._source.read(start, stop, self._executor, ahead=2 * self._workers):
            if isinstance(item, BadRecord):
                bad.append(item)
                continue
            records.append(item)
            size += len(item.payload)
            if len(records) >= self._batch_rows or size >= _BATCH_BYTES:
                yield StageOutput(_batch(records), tuple(bad))
                records, bad, size = [], [], 0
        if records or bad:
            yield StageOutput(_batch(records), tuple(bad))

    def __enter__(self) -> Self:
        """Return the stage, ready to read."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the threads; reads that have not begun are dropped."""
        self._executor.shutdown(cancel_futures=True)


def _batch(records: list[Record]) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays(
        [
            text_column([record.id for record in records]),
            text_column([record.uri for record in records]),
            text_column([record.sha256 for record in records]),
            large_bytes_column([record.payload for record in records]),
        ],
        names=["id", "uri", "sha256", "payload"],
    )
