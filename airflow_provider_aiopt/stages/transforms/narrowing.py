"""Keeping what a transform made in fewer bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_aiopt.data.tensors import array_tensor, tensor_array
from airflow_provider_aiopt.exceptions import TransformError

if TYPE_CHECKING:
    import pyarrow as pa


def narrowed(name: str, column: pa.Array, dtype: str) -> pa.Array:
    """Return a column of numbers as *dtype*; one that is no wider, or of anything else, stays as it is.

    :param name: the column's name
    :param dtype: numpy's name of the element type
    :raises TransformError: if *dtype* is an integer type that does not hold every value exactly
    """
    import numpy as np
    import pyarrow as pa

    if not isinstance(column, pa.FixedShapeTensorArray) and not pa.types.is_primitive(column.type):
        return column
    values, kind = array_tensor(column), np.dtype(dtype)
    if values.dtype.kind not in "iuf" or values.dtype.itemsize <= kind.itemsize:
        return column
    with np.errstate(invalid="ignore"):
        made = values.astype(kind)
    if kind.kind in "iu" and not np.array_equal(made, values):
        wrong = values[made != values].flat[0]
        raise TransformError(
            f"preprocess.store_as is {dtype!r}, which cannot hold {wrong!r} of the column {name!r}. Take a "
            "wider type, or leave it out"
        )
    return tensor_array(made)
