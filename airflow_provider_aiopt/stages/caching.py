"""Preparing only what a cache does not know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from airflow_provider_aiopt.data.cache.base import RowCache
from airflow_provider_aiopt.data.tensors import gather_rows
from airflow_provider_aiopt.exceptions import RecordError

if TYPE_CHECKING:
    import pyarrow as pa

    Prepared = tuple[dict[str, pa.Array], dict[int, RecordError]]


def prepare_with_cache(
    cache: RowCache,
    keys: Sequence[bytes],
    payloads: pa.Array,
    prepare: Callable[[Sequence[bytes]], Prepared],
) -> Prepared:
    """Return what *prepare* would make of all payloads, asking it only for those that *cache* does not know.

    What it makes of these is put into the cache; bad records never are.

    :param keys: the payloads' sha256 digests
    :param payloads: the records' bytes
    :param prepare: turns payloads into columns, and errors by position
    """
    hits = cache.get(keys)
    known = set(hits.positions)
    missing = [position for position in range(len(keys)) if position not in known]
    if not missing and hits.rows is not None:
        return _columns(hits.rows), {}
    columns, found = prepare([payloads[position].as_py() for position in missing])
    errors = {missing[number]: error for number, error in found.items()}
    fresh = _batch(columns)
    made = [position for position in missing if position not in errors]
    if made:
        cache.put([keys[position] for position in made], fresh)
    if hits.rows is None or not made:
        return (columns if hits.rows is None else _columns(hits.rows)), errors
    places = {position: (0, row) for row, position in enumerate(hits.positions)}
    places |= {position: (1, row) for row, position in enumerate(made)}
    return _columns(
        gather_rows([hits.rows, fresh], [places[position] for position in sorted(places)])
    ), errors


def _batch(columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _columns(rows: pa.RecordBatch) -> dict[str, pa.Array]:
    return dict(zip(rows.schema.names, rows.columns, strict=True))
