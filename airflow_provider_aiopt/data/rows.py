"""Rows of CSV, JSON Lines and Parquet files as records."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, cast

from airflow_provider_aiopt.data.listing import Entry, Root
from airflow_provider_aiopt.data.parquet_rows import ParquetRows, Row
from airflow_provider_aiopt.data.reading import local_errors, open_local, remote_errors
from airflow_provider_aiopt.data.remote_file import RemoteFile
from airflow_provider_aiopt.exceptions import DecodeError, EmptyRecordError, RecordError, RecordTooLargeError
from airflow_provider_aiopt.spec.source import SourceSpec

RowReader = Callable[[IO[bytes], SourceSpec], Iterator[Row | RecordError]]

_READ_BYTES = 1024 * 1024


def count_rows(root: Root, entry: Entry, spec: SourceSpec) -> int:
    """Return how many rows :func:`iter_rows` yields; Parquet files tell, the others are read once.

    :raises SourceError: if a remote file system does not answer
    """
    if spec.format != "parquet":
        return sum(1 for _ in iter_rows(root, entry, spec))
    try:
        with _opened(root, entry, spec) as stream:
            return _parquet_file(stream, spec).count
    except RecordError:
        return 1


def iter_rows(
    root: Root, entry: Entry, spec: SourceSpec, start: int = 0, stop: int = sys.maxsize
) -> Iterator[Row | RecordError]:
    """Yield rows *start* to *stop* of one file, with an error in the place of each row that cannot be read.

    A file that cannot be read at all, or a text file not to its end, yields one error for what is missing.

    :raises SourceError: if a remote file system does not answer
    """
    try:
        with _opened(root, entry, spec) as stream:
            if spec.format == "parquet":
                yield from _parquet_file(stream, spec).read(start, stop)
            else:
                yield from itertools.islice(_READERS[spec.format](stream, spec), start, stop)
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
    return encode_values([row[column] for column in spec.columns], spec.columns, spec)


def encode_values(values: Sequence[Any], names: Sequence[str], spec: SourceSpec) -> bytes:
    """Return values as bytes, as :func:`row_payload` does.

    :param names: what the values are called in messages
    """
    payload = _encode(values)
    if not payload:
        raise EmptyRecordError(f"The column {names[0]!r} is empty")
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


@contextmanager
def _opened(root: Root, entry: Entry, spec: SourceSpec) -> Iterator[IO[bytes]]:
    with local_errors() if root.is_local else remote_errors(root, entry), _open(root, entry, spec) as stream:
        yield stream


def _open(root: Root, entry: Entry, spec: SourceSpec) -> IO[bytes]:
    if root.is_local:
        return os.fdopen(open_local(root, entry), "rb")
    if spec.format == "parquet":
        # Its reader asks for just the column chunks that it needs: reading ahead would fetch others too.
        return cast("IO[bytes]", RemoteFile(root, entry, cache_type="none"))
    return io.BufferedReader(RemoteFile(root, entry), _READ_BYTES)


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


def _parquet_file(stream: IO[bytes], spec: SourceSpec) -> ParquetRows:
    file = ParquetRows(stream, [*spec.columns, *filter(None, [spec.id_column])])
    _require_columns(file.columns, spec)
    return file


def _require_columns(names: Sequence[str], spec: SourceSpec) -> None:
    missing = [column for column in (*spec.columns, spec.id_column) if column and column not in names]
    if missing:
        raise DecodeError(
            f"The file has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, names))}"
        )


_READERS: dict[str, RowReader] = {"csv": _csv_rows, "jsonl": _json_rows}
