"""Which shards a run consists of: the listing while ingestion is under way, the index once it is done."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_provider_aiopt.data.callables import load_callable
from airflow_provider_aiopt.data.columns import bytes_column, int_column, text_column
from airflow_provider_aiopt.data.folder import FileSystemResolver, Folder
from airflow_provider_aiopt.data.listing import Entry, list_source, open_root
from airflow_provider_aiopt.data.manifest import ShardName
from airflow_provider_aiopt.data.python_source import PythonSource
from airflow_provider_aiopt.data.shards import read_parquet
from airflow_provider_aiopt.data.source import RecordSource, Source
from airflow_provider_aiopt.exceptions import ShardError
from airflow_provider_aiopt.spec.source import PYTHON_SCHEME, SourceSpec

_INDEX = "index.json"
_LISTING = "listing.parquet"
_SPEC_KEY = b"aiopt.source"
_ROOT_KEY = b"aiopt.root"


class RunIndex(BaseModel):
    """A finished ingestion.

    :param records: records that the source gave, the bad ones included
    :param shards: names of the run's shards
    :param bounds: where a source was only listed: first record of each shard and the one after its last
    :param row_counts: where its files hold rows: how many each of them has
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    records: int = Field(ge=0)
    shards: tuple[ShardName, ...]
    bounds: tuple[tuple[int, int], ...] = ()
    row_counts: tuple[int, ...] = ()


def write_index(folder: Folder, index: RunIndex) -> None:
    """Mark ingestion as finished.

    :param folder: the ingest stage's folder
    """
    folder.write(_INDEX, index.model_dump_json().encode())


def read_index(folder: Folder) -> RunIndex | None:
    """Return the index of a finished ingestion, or None.

    :raises ShardError: if the file is no index
    """
    if not folder.exists(_INDEX):
        return None
    try:
        return RunIndex.model_validate_json(folder.read(_INDEX))
    except ValidationError as error:
        raise ShardError(
            f"{folder.uri_of(_INDEX)} is no run index of this version. Clear the ingest task to make it again"
        ) from error


def open_source(
    folder: Folder, spec: SourceSpec, *, resolver: FileSystemResolver, allowed_callables: Sequence[str] = ()
) -> RecordSource:
    """List the source, or take up the listing of an attempt that did not finish.

    An attempt that was killed must see what its predecessor saw, or shards would hold other records than
    before.  Once ingestion has finished, running it again means to look again.

    A data set of Python is opened anew each time: what its shards hold is decided by its callable alone.

    :param folder: the ingest stage's folder
    :param allowed_callables: prefixes of the dotted paths that *spec* may name
    :raises SpecError: if it names another one
    """
    if folder.exists(_INDEX):
        folder.remove(_LISTING)  # first: the index alone still says that the listing is to be made again
        folder.remove(_INDEX)
    if spec.format == "python" or spec.manifest is not None:  # no attempt changes a manifest
        return list_records(spec, resolver=resolver, allowed_callables=allowed_callables)
    settings = spec.identity().encode()
    earlier = _read_listing(folder, settings)
    if earlier is not None:
        path, entries = earlier
        return Source(spec, open_root(spec, path, resolver=resolver), entries)
    root, entries = list_source(spec, resolver=resolver)
    _write_listing(folder, {_SPEC_KEY: settings, _ROOT_KEY: root.path.encode()}, entries)
    return Source(spec, root, entries)


def list_records(
    spec: SourceSpec, *, resolver: FileSystemResolver, allowed_callables: Sequence[str] = ()
) -> RecordSource:
    """List the source, and keep nothing of it.

    :param allowed_callables: prefixes of the dotted paths that *spec* may name
    :raises SpecError: if it names another one
    """
    if spec.format != "python":
        return Source(spec, *list_source(spec, resolver=resolver))
    path = spec.uri.removeprefix(PYTHON_SCHEME)
    return PythonSource(spec, load_callable(path, allowed_callables, where=f"source.uri: {spec.uri!r}"))


def open_planned(
    folder: Folder, spec: SourceSpec, *, resolver: FileSystemResolver, allowed_callables: Sequence[str] = ()
) -> tuple[RecordSource, RunIndex]:
    """Open the source as an earlier task listed it, and leave the listing alone: others read it as well.

    :param folder: the ingest stage's folder
    :param allowed_callables: prefixes of the dotted paths that *spec* may name
    :returns: the source, and how it was cut
    :raises ShardError: if no task has listed this source
    """
    index = read_index(folder)
    if index is None or len(index.bounds) != len(index.shards):
        raise ShardError(
            f"{folder.uri} has no plan. Run PlanOperator first, with the same workspace, and hand its "
            "output on: shard=plan.output"
        )
    if spec.format == "python":
        return list_records(spec, resolver=resolver, allowed_callables=allowed_callables), index
    if spec.manifest is not None:  # it is the listing
        root, entries = list_source(spec, resolver=resolver)
        return Source(spec, root, entries, row_counts=index.row_counts or None), index
    found = _read_listing(folder, spec.identity().encode())
    if found is None:
        raise ShardError(
            f"{folder.uri_of(_LISTING)} is not the listing of {spec.uri} with these settings. Clear the plan "
            "task, and give it the same spec"
        )
    path, entries = found
    root = open_root(spec, path, resolver=resolver)
    return Source(spec, root, entries, row_counts=index.row_counts or None), index


def copy_listing(source: Folder, target: Folder) -> None:
    """Take over the listing that another workspace has, where it has one: a data set of Python is not listed.

    :param source: the ingest stage's folder there
    :param target: the ingest stage's folder here
    """
    if source.exists(_LISTING):
        target.write(_LISTING, source.read(_LISTING))


def _write_listing(folder: Folder, metadata: dict[bytes, bytes], entries: Sequence[Entry]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            # Names may hold bytes that are no UTF-8.
            "name": bytes_column([entry.name.encode("utf-8", "surrogateescape") for entry in entries]),
            "size": int_column([entry.size for entry in entries]),
            "version": text_column([entry.version for entry in entries]),
        }
    ).replace_schema_metadata(metadata)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    folder.write(_LISTING, buffer.getvalue())


def _read_listing(folder: Folder, settings: bytes) -> tuple[str, list[Entry]] | None:
    import pyarrow as pa

    if not folder.exists(_LISTING):
        return None
    try:
        table = read_parquet(folder.read(_LISTING))
    except pa.ArrowInvalid as error:
        raise ShardError(
            f"{folder.uri_of(_LISTING)} is no listing: {error}. Remove the run's folder to begin the run anew"
        ) from error
    metadata = table.schema.metadata or {}
    if metadata.get(_SPEC_KEY) != settings:
        return None
    columns = (table.column(name).to_pylist() for name in ("name", "size", "version"))
    return metadata[_ROOT_KEY].decode(), [
        Entry(name.decode("utf-8", "surrogateescape"), size, version)
        for name, size, version in zip(*columns, strict=True)
    ]
