"""Rows of CSV, JSON Lines and Parquet files as records."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_aiopt.data.listing import Entry, Root
from airflow_provider_aiopt.data.reading import local_errors, open_local, remote_errors
from airflow_provider_aiopt.exceptions import DecodeError, EmptyRecordError, RecordError, RecordTooLargeError
from airflow_provider_aiopt.spec.source import SourceSpec

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]
RowReader = Callable[[IO[bytes], SourceSpec], Iterator[Row | RecordError]]

_PARQUET_ROWS = 128  # held at once: rows may be as large as images


def iter_rows(root: Root, entry: Entry, spec: SourceSpec) -> Iterator[Row | RecordError]:
    """Yield the rows of one file, with an error in the place of each row that cannot be read.

    A file that cannot be read at all, or not to its end, yields one error for what is missing.

    :raises SourceError: if a remote file system does not answer
    """
    errors = local_errors() if root.is_local else remote_errors(root, entry)
    try:
        with errors, _open(root, entry) as stream:
            yield from _READERS[spec.format](stream, spec)
    except RecordError as error:
        yield error


def row_payload(row: Row, spec: SourceSpec) -> bytes:
    """Return a row's bytes: a single text or binary column as it is, everything else as a JSON array.

    :raises DecodeError: if a column is missing or cannot be represented
    :raises EmptyRecordError: if the only column is empty
    :raises RecordTooLargeError: if the payload exceeds ``max_record_bytes``
    """
    missing = [column for column in spec.columns if row.get(column) is None]
    if missing:
        raise DecodeError(
            f"The row has no value for {', '.join(map(repr, missing))}; "
            f"it has {', '.join(map(repr, row)) or 'none'}"
        )
    values = [row[column] for column in spec.columns]
    payload = _encode(values)
    if not payload:
        raise EmptyRecordError(f"The column {spec.columns[0]!r} is empty")
    if len(payload) > spec.max_record_bytes:
        raise RecordTooLargeError(
            f"The row has {len(payload)} bytes; source.max_record_bytes allows {spec.max_record_bytes}"
        )
    return payload


def _encode(values: Sequence[Any]) -> bytes:
    try:
        if len(values) == 1 and isinstance(values[0], str):
            return values[0].encode("utf-8")
        if len(values) == 1 and isinstance(values[0], bytes):
            return values[0]
        return json.dumps(values, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise DecodeError(f"The row is not valid UTF-8: {error.reason}") from error
    except (RecursionError, TypeError, ValueError) as error:
        raise DecodeError(f"The row cannot be represented: {error}") from error


def _open(root: Root, entry: Entry) -> IO[bytes]:
    if root.is_local:
        return os.fdopen(open_local(root, entry), "rb")
    stream: IO[bytes] = root.filesystem.open(root.path_of(entry), "rb")
    return stream


def _csv_rows(stream: IO[bytes], spec: SourceSpec) -> Iterator[Row | RecordError]:
    # The module has one limit for all its readers, in characters; only ever raised, it harms nobody.
    csv.field_size_limit(max(csv.field_size_limit(), min(spec.max_record_bytes, sys.maxsize)))
    # Undecodable bytes travel as surrogates and fail where their own row is encoded, not the whole file.
    with io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        # Strict: a quote that is never closed would else swallow the rest of the file as one value.
        reader = csv.reader(text, strict=True)
        rows = _csv_lists(reader)
        header = next(rows, None)
        if header is None:
            raise EmptyRecordError("The file holds no bytes")
        if isinstance(header, RecordError):
            raise header
        _require_columns(header, spec)
        for row in rows:
            if isinstance(row, RecordError):
                yield row
            elif row:
                yield _csv_row(header, row, reader.line_num)


def _csv_lists(reader: Any) -> Iterator[list[str] | RecordError]:
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            kind = RecordTooLargeError if "field limit" in str(error) else DecodeError
            yield kind(f"Line {reader.line_num} is not valid CSV: {error}")
            continue
        if row is None:
            return
        yield row


def _csv_row(header: list[str], row: list[str], line: int) -> Row | RecordError:
    if len(row) != len(header):
        return DecodeError(f"Line {line} has {len(row)} fields; the header names {len(header)}")
    return dict(zip(header, row, strict=True))


def _json_rows(stream: IO[bytes], _: SourceSpec) -> Iterator[Row | RecordError]:
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (RecursionError, ValueError) as error:  # too deep; bad JSON or bad UTF-8
            yield DecodeError(f"Line {number} is not valid JSON: {error}")
            continue
        if isinstance(value, dict):
            yield value
        else:
            yield DecodeError(f"Line {number} holds {type(value).__name__}, not an object")


def _parquet_rows(stream: IO[bytes], spec: SourceSpec) -> Iterator[Row | RecordError]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = [*spec.columns, *filter(None, [spec.id_column])]
    try:
        file = pq.ParquetFile(stream, pre_buffer=False)
        _require_columns(file.schema_arrow.names, spec)
        # Without threads: see read_parquet.
        for batch in file.iter_batches(_PARQUET_ROWS, columns=wanted, use_threads=False):
            yield from _python_rows(batch)
    except (pa.ArrowException, OSError) as error:
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


def _require_columns(names: Sequence[str], spec: SourceSpec) -> None:
    missing = [column for column in (*spec.columns, spec.id_column) if column and column not in names]
    if missing:
        raise DecodeError(
            f"The file has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, names))}"
        )


_READERS: dict[str, RowReader] = {"csv": _csv_rows, "jsonl": _json_rows, "parquet": _parquet_rows}
