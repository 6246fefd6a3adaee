"""Batches as Arrow record batches with tensor columns.

Every batch carries the identity columns ``id``, ``uri`` and ``sha256``; the others are the stage's own data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.data.columns import int_column, number_column

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

IDENTITY_COLUMNS = ("id", "uri", "sha256")


def identity_schema() -> pa.Schema:
    """Return the schema of the columns that every batch carries."""
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in IDENTITY_COLUMNS])


def tensor_array(values: np.ndarray[Any, Any]) -> pa.Array:
    """Return *values*, of shape ``[n, ...]``, as a tensor column of *n* rows, without copying.

    One-dimensional values become an ordinary column.
    """
    import numpy as np
    import pyarrow as pa

    if values.ndim == 1:
        return number_column(values)
    row = values.shape[1:]
    # The type that Arrow itself gives to tensors from numpy, which says the order of the axes.
    kind = pa.fixed_shape_tensor(pa.from_numpy_dtype(values.dtype), row, permutation=range(len(row)))
    flat = number_column(np.ascontiguousarray(values).reshape(-1))
    rows = pa.Array.from_buffers(kind.storage_type, len(values), [None], children=[flat])
    return pa.ExtensionArray.from_storage(kind, rows)


def array_tensor(column: pa.Array) -> np.ndarray[Any, Any]:
    """Return a tensor column as an array of shape ``[n, ...]``, without copying where Arrow allows."""
    import numpy as np
    import pyarrow as pa

    if not isinstance(column, pa.FixedShapeTensorArray):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    if not len(column):
        shape = (0, *column.type.shape)
        # Not the type's own to_pandas_dtype, which wants pandas.
        return np.empty(shape, dtype=pa.array([], column.type.value_type).to_numpy().dtype)
    result: np.ndarray[Any, Any] = column.to_numpy_ndarray()
    return result


def ragged_array(rows: Sequence[np.ndarray[Any, Any]]) -> pa.Array:
    """Return integer vectors of different lengths as a list column."""
    import numpy as np
    import pyarrow as pa

    ends = np.cumsum([0, *map(len, rows)], dtype=np.int32)
    values = np.concatenate([np.empty(0, np.int32), *rows]).astype(np.int32, copy=False)
    return pa.ListArray.from_arrays(number_column(ends), number_column(values))


def make_batch(identity: pa.RecordBatch, columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """Return a batch with the identity columns of *identity* and the given data columns.

    :param identity: any batch of the same records in the same order
    :param columns: data columns by name, each with as many rows
    """
    import pyarrow as pa

    arrays = [identity.column(name) for name in IDENTITY_COLUMNS]
    return pa.RecordBatch.from_arrays([*arrays, *columns.values()], names=[*IDENTITY_COLUMNS, *columns])


def drop_rows(batch: pa.RecordBatch, indices: Sequence[int]) -> pa.RecordBatch:
    """Return *batch* without the rows at *indices*."""
    if not indices:
        return batch
    bad = set(indices)
    return batch.take(int_column([index for index in range(batch.num_rows) if index not in bad]))


def gather_rows(pieces: Sequence[pa.RecordBatch], places: Sequence[tuple[int, int]]) -> pa.RecordBatch:
    """Return the rows at *places* in one batch; those that lie side by side in one piece are not copied.

    :param pieces: batches of one schema
    :param places: piece and row within it, at least one
    """
    import pyarrow as pa

    runs: list[list[int]] = []  # piece, first row, length
    for piece, row in places:
        if runs and runs[-1][0] == piece and runs[-1][1] + runs[-1][2] == row:
            runs[-1][2] += 1
        else:
            runs.append([piece, row, 1])
    slices = [pieces[piece].slice(row, length) for piece, row, length in runs]
    if len(slices) == 1:
        return slices[0]
    schema = slices[0].schema
    columns = [pa.concat_arrays([part.column(number) for part in slices]) for number in range(len(schema))]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
