"""Arrow columns made from their buffers.

``pyarrow.array`` first looks whether it was given something of pandas, and so imports pandas wherever that is
installed.  For a task that handles one photograph that would be nearly half of its CPU time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_INT32_MAX = 2**31 - 1


def text_column(values: Sequence[str | None]) -> pa.Array | pa.ChunkedArray:
    """Return *values* as a string column, in chunks where they have more than 2 GiB; None is null.

    :raises UnicodeEncodeError: if one cannot be written as UTF-8
    """
    import numpy as np
    import pyarrow as pa

    present = None
    texts = [value or "" for value in values]
    if None in values:
        present = np.array([value is not None for value in values])
    joined = "".join(texts)
    data = joined.encode()
    # As a rule all is ASCII: then nothing has to be encoded by itself to know its length.
    sizes = map(len, texts) if len(data) == len(joined) else (len(text.encode()) for text in texts)
    if len(data) > _INT32_MAX:
        return pa.array(values, pa.string())
    return _from_parts(pa.string(), sizes, data, len(texts), present)


def bytes_column(values: Sequence[bytes]) -> pa.Array | pa.ChunkedArray:
    """Return *values* as a binary column, in chunks where they have more than 2 GiB."""
    import pyarrow as pa

    data = b"".join(values)
    if len(data) > _INT32_MAX:
        return pa.array(values, pa.binary())
    return _from_parts(pa.binary(), map(len, values), data, len(values))


def large_bytes_column(values: Sequence[bytes]) -> pa.Array:
    """Return *values* as a large binary column."""
    import pyarrow as pa

    return _from_parts(pa.large_binary(), map(len, values), b"".join(values), len(values))


def int_column(values: Sequence[int]) -> pa.Array:
    """Return *values* as an int64 column."""
    import numpy as np

    return number_column(np.array(values, dtype=np.int64))


def number_column(values: np.ndarray[Any, Any]) -> pa.Array:
    """Return one-dimensional *values* as a column, without copying what is contiguous."""
    import numpy as np
    import pyarrow as pa

    if values.dtype.kind not in "iuf":
        return pa.array(values)
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, data])


def _from_parts(
    kind: pa.DataType,
    sizes: Iterable[int],
    data: bytes,
    count: int,
    present: np.ndarray[Any, Any] | None = None,
) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    offset = np.int64 if pa.types.is_large_binary(kind) else np.int32
    offsets = np.zeros(count + 1, offset)
    np.cumsum(np.fromiter(sizes, offset, count), out=offsets[1:])
    validity = None if present is None else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(kind, count, [validity, pa.py_buffer(offsets), pa.py_buffer(data)])
