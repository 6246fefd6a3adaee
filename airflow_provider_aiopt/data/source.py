"""A source as one ordered stream of records."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor

from airflow_provider_aiopt.data.listing import Entry, Root
from airflow_provider_aiopt.data.parallel import map_ordered
from airflow_provider_aiopt.data.reading import read_entry
from airflow_provider_aiopt.data.records import BadRecord, Record, printable
from airflow_provider_aiopt.data.rows import iter_rows, row_payload
from airflow_provider_aiopt.exceptions import RecordError
from airflow_provider_aiopt.spec.source import SourceSpec

STAGE = "ingest"


class Source:
    """The listed files of a source, read as records in the order of the listing.

    :param spec: the source's spec
    :param root: where the files live
    :param entries: the files
    """

    def __init__(self, spec: SourceSpec, root: Root, entries: Sequence[Entry]) -> None:
        self.spec = spec
        self.root = root
        self.entries = entries

    def count(self) -> int:
        """Return how many records there are; for the row formats this reads the files once."""
        if self.spec.format == "files":
            return len(self.entries)
        return sum(1 for entry in self.entries for _ in iter_rows(self.root, entry, self.spec))

    def read(self, start: int, stop: int, executor: Executor, *, ahead: int) -> Iterator[Record | BadRecord]:
        """Yield records *start* to *stop* in order.

        :param executor: threads that read whole files side by side
        :param ahead: how many reads may be under way
        """
        if self.spec.format == "files":
            chosen = self.entries[start:stop]
            yield from map_ordered(self._read_file, chosen, executor, ahead=ahead)
        else:
            yield from itertools.islice(self._rows(), start, stop)

    def fingerprint(self, start: int, stop: int) -> str:
        """Return a digest of what records *start* to *stop* are and of how they are read."""
        chosen = self.entries[start:stop] if self.spec.format == "files" else self.entries
        digest = hashlib.sha256()
        settings = self.spec.model_dump(mode="json", exclude={"storage_options", "connection"})
        digest.update(json.dumps([settings, start, stop], sort_keys=True).encode())
        for entry in chosen:
            digest.update(f"\0{entry.name}\0{entry.size}\0{entry.version}".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def _read_file(self, entry: Entry) -> Record | BadRecord:
        name, uri = entry.printable_name, self.root.uri_of(entry)
        try:
            payload = read_entry(self.root, entry, max_bytes=self.spec.max_record_bytes)
        except RecordError as error:
            return BadRecord.from_error(name, uri, STAGE, error)
        return Record.from_payload(name, uri, payload)

    def _rows(self) -> Iterator[Record | BadRecord]:
        for entry in self.entries:
            name, uri = entry.printable_name, self.root.uri_of(entry)
            for index, row in enumerate(iter_rows(self.root, entry, self.spec)):
                record_id, row_uri = f"{name}#{index}", f"{uri}#row={index}"
                if isinstance(row, RecordError):
                    yield BadRecord.from_error(record_id, row_uri, STAGE, row)
                    continue
                if self.spec.id_column and row.get(self.spec.id_column) is not None:
                    record_id = printable(str(row[self.spec.id_column]))
                try:
                    yield Record.from_payload(record_id, row_uri, row_payload(row, self.spec))
                except RecordError as error:
                    yield BadRecord.from_error(record_id, row_uri, STAGE, error)
