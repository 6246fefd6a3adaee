"""A source as one ordered stream of records."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor
from functools import cached_property
from typing import Protocol

from airflow_provider_aiopt.data.listing import Entry, Root
from airflow_provider_aiopt.data.parallel import map_ordered
from airflow_provider_aiopt.data.parquet_rows import Row
from airflow_provider_aiopt.data.reading import read_entry
from airflow_provider_aiopt.data.records import BadRecord, Record, printable
from airflow_provider_aiopt.data.rows import count_rows, iter_rows, row_payload
from airflow_provider_aiopt.data.tally import TimeTally
from airflow_provider_aiopt.exceptions import RecordError
from airflow_provider_aiopt.spec.source import SourceSpec

STAGE = "ingest"
# Handing a call to another thread and its answer back costs as much as reading a small file: these share one.
# Each call that may be under way gets several such groups, so that all threads have some up to the end.
_GROUP_BYTES = 64 * 1024
_GROUP_FILES = 16
_GROUPS_A_LANE = 8


class RecordSource(Protocol):
    """What every source offers: an ordered stream of records that can be read from any of them on."""

    @property
    def retries(self) -> int:
        """How many reads and listings were made again so far."""
        ...

    @property
    def reads(self) -> TimeTally:
        """How often something was read so far, and how long that took."""
        ...

    def count(self) -> int:
        """Return how many records there are."""
        ...

    def sizes(self) -> Sequence[int]:
        """Return the listed bytes of the source's files, none where nothing is listed."""
        ...

    def read(self, start: int, stop: int, executor: Executor, *, ahead: int) -> Iterator[Record | BadRecord]:
        """Yield records *start* to *stop* in order.

        :param executor: threads that work side by side
        :param ahead: how many calls may be under way in them
        """
        ...

    def fingerprint(self, start: int, stop: int) -> str:
        """Return a digest of what records *start* to *stop* are and of how they are read."""
        ...

    def close(self) -> None:
        """Let go of files that a read left open because the next may go on there."""
        ...


class Source:
    """The listed files of a source, read as records in the order of the listing.

    :param spec: the source's spec
    :param root: where the files live
    :param entries: the files
    :param row_counts: how many rows each of them has, where that is known already
    """

    def __init__(
        self,
        spec: SourceSpec,
        root: Root,
        entries: Sequence[Entry],
        *,
        row_counts: Sequence[int] | None = None,
    ) -> None:
        self.spec = spec
        self.root = root
        self.entries = entries
        self._rows: Iterator[Record | BadRecord] = iter(())
        self._next_row = -1
        self._known_counts = row_counts
        self._reads = TimeTally()

    @property
    def retries(self) -> int:
        """How many reads and listings of remote storage were made again so far."""
        return self.root.calls.retries

    @property
    def reads(self) -> TimeTally:
        """How many files were read whole so far, and how long that took; rows are not timed one by one."""
        return self._reads

    def count(self) -> int:
        """Return how many records there are; for CSV and JSON Lines this reads the files once."""
        return len(self.entries) if self.spec.format == "files" else sum(self.row_counts)

    def sizes(self) -> Sequence[int]:
        """Return the listed bytes of each file, in the order of the listing."""
        return [entry.size for entry in self.entries]

    def read(self, start: int, stop: int, executor: Executor, *, ahead: int) -> Iterator[Record | BadRecord]:
        """Yield records *start* to *stop* in order.

        :param executor: threads that read whole files side by side
        :param ahead: how many reads may be under way
        """
        if self.spec.format == "files":
            with self.root.calls.keeping_threads():
                yield from self._read_files(self.entries[start:stop], executor, ahead)
            return
        if self._next_row != start:  # else it goes on where the shard before ended, without skipping anew
            self._rows, self._next_row = self._rows_from(start), start
        for record in itertools.islice(self._rows, stop - start):
            self._next_row += 1
            yield record

    def fingerprint(self, start: int, stop: int) -> str:
        """Return a digest of what records *start* to *stop* are and of how they are read."""
        chosen = self.entries[start:stop] if self.spec.format == "files" else self.entries
        digest = hashlib.sha256()
        digest.update(f"{self.spec.identity()}\0{start}\0{stop}".encode())
        for entry in chosen:
            digest.update(f"\0{entry.name}\0{entry.size}\0{entry.version}".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def close(self) -> None:
        """Close the file of rows that the last read ended in."""
        rows, self._rows, self._next_row = self._rows, iter(()), -1
        if isinstance(rows, Generator):
            rows.close()

    def _read_files(
        self, entries: Sequence[Entry], executor: Executor, ahead: int
    ) -> Iterator[Record | BadRecord]:
        groups = _groups(entries, most=len(entries) // (_GROUPS_A_LANE * ahead))
        for records, rest in map_ordered(self._read_group, groups, executor, ahead=ahead):
            yield from records
            yield from map_ordered(self._read_file, rest, executor, ahead=ahead)

    def _read_group(self, entries: Sequence[Entry]) -> tuple[list[Record | BadRecord], Sequence[Entry]]:
        """Read one after another, up to what a call may hold; return the records and the files left.

        Files are left where a listing told too little of their sizes.
        """
        records: list[Record | BadRecord] = []
        size = 0
        for number, entry in enumerate(entries):
            if size > _GROUP_BYTES:
                return records, entries[number:]
            record = self._read_file(entry)
            records.append(record)
            size += len(record.payload) if isinstance(record, Record) else 0
        return records, ()

    def _read_file(self, entry: Entry) -> Record | BadRecord:
        name, uri = entry.printable_name, self.root.uri_of(entry)
        try:
            with self._reads.timed():
                payload = read_entry(self.root, entry, max_bytes=self.spec.max_record_bytes)
        except RecordError as error:
            return BadRecord.from_error(name, uri, STAGE, error)
        return Record.from_payload(name, uri, payload)

    @cached_property
    def row_counts(self) -> Sequence[int]:
        """How many rows each file has, for formats of rows; reads them once where it is not known."""
        if self._known_counts is not None:
            return self._known_counts
        return [count_rows(self.root, entry, self.spec) for entry in self.entries]

    def _rows_from(self, start: int) -> Iterator[Record | BadRecord]:
        first = 0
        for entry, rows in zip(self.entries, self.row_counts, strict=True):
            skipped = max(start - first, 0)
            if skipped < rows:
                for index, row in enumerate(iter_rows(self.root, entry, self.spec, skipped), start=skipped):
                    yield self._row_record(entry, index, row)
            first += rows

    def _row_record(self, entry: Entry, index: int, row: Row | RecordError) -> Record | BadRecord:
        record_id = f"{entry.printable_name}#{index}"
        uri = f"{self.root.uri_of(entry)}#row={index}"
        if isinstance(row, RecordError):
            return BadRecord.from_error(record_id, uri, STAGE, row)
        if self.spec.id_column and row.get(self.spec.id_column) is not None:
            record_id = printable(str(row[self.spec.id_column]))
        try:
            return Record.from_payload(record_id, uri, row_payload(row, self.spec))
        except RecordError as error:
            return BadRecord.from_error(record_id, uri, STAGE, error)


def _groups(entries: Sequence[Entry], most: int) -> Iterator[Sequence[Entry]]:
    """Cut *entries* into runs of at most *most* files that are listed with few bytes together."""
    most = max(1, min(most, _GROUP_FILES))
    start = size = 0
    for number, entry in enumerate(entries):
        if number > start and (number - start == most or size + entry.size > _GROUP_BYTES):
            yield entries[start:number]
            start, size = number, 0
        size += entry.size
    if start < len(entries):
        yield entries[start:]
