"""Rows of Parquet files: counted by the footer, read by the row group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_aiopt.exceptions import AioptError, DecodeError, RecordError

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

_HELD_ROWS = 128  # at once: rows may be as large as images


class ParquetRows:
    """One Parquet file; opening it reads its footer and nothing else.

    :param stream: the file, seekable
    :param wanted: the columns to read
    :raises DecodeError: if it is no Parquet file or lacks one of the columns
    """

    def __init__(self, stream: IO[bytes], wanted: list[str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            self._file = pq.ParquetFile(stream, pre_buffer=False)
        except AioptError:
            raise
        except (pa.ArrowException, OSError) as error:
            raise DecodeError(f"The file is not valid Parquet: {error}") from error
        self._wanted = wanted
        self.columns: list[str] = self._file.schema_arrow.names

    @property
    def count(self) -> int:
        """How many rows the footer promises."""
        return int(self._file.metadata.num_rows)

    def read(self, start: int, stop: int) -> Iterator[Row | RecordError]:
        """Yield rows *start* to *stop*, with an error in the place of each that cannot be read."""
        first = 0
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            low, high = max(start - first, 0), min(stop - first, rows)
            if low < high:
                yield from self._read_group(group, low, high)
            first += rows

    def _read_group(self, group: int, low: int, high: int) -> Iterator[Row | RecordError]:
        """Yield rows *low* to *high* of one group; where it is damaged, each row that is missing is bad."""
        import pyarrow as pa

        position = 0
        try:
            # Without threads: see read_parquet.
            for batch in self._file.iter_batches(
                _HELD_ROWS, row_groups=[group], columns=self._wanted, use_threads=False
            ):
                skipped = min(max(low - position, 0), batch.num_rows)
                taken = batch.slice(skipped, max(high - position - skipped, 0))
                position += batch.num_rows
                yield from _python_rows(taken)
                if position >= high:
                    return
        except AioptError:
            raise
        except (pa.ArrowException, OSError) as error:
            for _ in range(high - max(position, low)):
                yield DecodeError(f"The file is not valid Parquet: {error}")


def _python_rows(batch: pa.RecordBatch) -> Iterator[Row | RecordError]:
    try:
        yield from batch.to_pylist()
    except (OverflowError, ValueError) as error:  # text that is no UTF-8, a date that Python does not know
        if batch.num_rows == 1:
            yield DecodeError(f"The row cannot be represented: {error}")
            return
        for index in range(batch.num_rows):
            yield from _python_rows(batch.slice(index, 1))
