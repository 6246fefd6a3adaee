"""Bad records, kept with the reason."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import fields

from airflow_provider_aiopt.data.columns import text_column
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.data.records import BadRecord
from airflow_provider_aiopt.data.shards import read_parquet

_COLUMNS = tuple(field.name for field in fields(BadRecord))


def write_quarantine(folder: Folder, stage: str, shard: str, records: Sequence[BadRecord]) -> None:
    """Write one stage's bad records of one shard as Parquet, replacing those of an earlier attempt.

    :param folder: the run's quarantine folder
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = f"{stage}-{shard}.parquet"
    if not records:
        folder.remove(name)
        return
    table = pa.table({key: text_column([getattr(record, key) for record in records]) for key in _COLUMNS})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    folder.write(name, buffer.getvalue())


def read_quarantine(folder: Folder) -> list[BadRecord]:
    """Return every bad record of a run, in the order of stages and shards."""
    return list(_read(folder))


def _read(folder: Folder) -> Iterator[BadRecord]:
    for name in folder.names():
        if name.endswith(".parquet"):
            for row in read_parquet(folder.read(name)).to_pylist():
                yield BadRecord(**row)
