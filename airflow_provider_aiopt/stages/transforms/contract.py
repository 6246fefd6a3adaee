"""Holding what a custom transform returns to its protocol, and converting it to and from Arrow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.data.tensors import IDENTITY_COLUMNS, array_tensor, tensor_array
from airflow_provider_aiopt.exceptions import DecodeError, RecordError, TransformError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_PAIR = 2


def as_prepared(answer: Any, count: int, label: str) -> tuple[dict[str, pa.Array], dict[int, RecordError]]:
    """Convert what a transform's ``prepare`` returned.

    :param answer: a pair of columns by name, and errors by position
    :param count: payloads that it was given
    :param label: what messages call the transform
    :returns: Arrow columns, and errors, together a row or an error for each payload; no columns where all are
        errors
    :raises TransformError: naming what is wrong
    """
    if not isinstance(answer, tuple) or len(answer) != _PAIR:
        raise _fault(label, f"must return a pair of columns and errors; found {_kind(answer)}")
    columns, errors = answer
    if not isinstance(columns, Mapping) or not isinstance(errors, Mapping):
        raise _fault(
            label, f"must return columns and errors as mappings; found {_kind(columns)} and {_kind(errors)}"
        )
    bad = {_position(key, count, label): _as_error(error) for key, error in errors.items()}
    rows = count - len(bad)
    if not rows:
        return {}, bad
    if not columns:
        raise _fault(label, "returned no column")
    made = {_name(name, label): _as_array(name, column, label) for name, column in columns.items()}
    for name, column in made.items():
        if len(column) != rows:
            raise _fault(
                label,
                f"returned {len(column)} entries in the column {name!r} for {count} payloads of which "
                f"{len(bad)} are bad; there must be {rows}",
            )
    return made, bad


def as_numpy(column: pa.Array) -> np.ndarray[Any, Any] | pa.Array:
    """Return a column of numbers or tensors as a numpy array, any other as it is."""
    import pyarrow as pa

    kind = column.type
    if isinstance(column, pa.FixedShapeTensorArray) or pa.types.is_primitive(kind):
        return array_tensor(column)
    return column


def as_feeds(answer: Any, rows: int, label: str) -> Mapping[str, np.ndarray[Any, Any]]:
    """Check what a transform's ``feeds`` returned.

    :param rows: records of the batch
    :param label: what messages call the transform
    :raises TransformError: naming what is wrong
    """
    import numpy as np

    if not isinstance(answer, Mapping):
        raise _fault(label, f"must return tensors by input name; found {_kind(answer)}", "feeds")
    for name, value in answer.items():
        if not isinstance(value, np.ndarray):
            raise _fault(label, f"must return numpy arrays; found {_kind(value)} for {name!r}", "feeds")
        if not value.ndim or len(value) != rows:
            raise _fault(
                label,
                f"returned {name!r} of shape {list(value.shape)} for a batch of {rows}; its first axis "
                "must be the batch",
                "feeds",
            )
    return answer


def _fault(label: str, what: str, method: str = "prepare") -> TransformError:
    return TransformError(f"{label}: {method} {what}. Correct the transform: docs/preprocessing.md")


def _kind(value: Any) -> str:
    return f"a value of type {type(value).__name__}"


def _position(key: Any, count: int, label: str) -> int:
    import numpy as np

    if not isinstance(key, int | np.integer) or isinstance(key, bool) or not 0 <= key < count:
        raise _fault(
            label, f"must name errors by the payload's position, 0 to {count - 1}; found {key!r:.80}"
        )
    return int(key)


def _as_error(error: Any) -> RecordError:
    if isinstance(error, RecordError):
        return error
    if isinstance(error, BaseException):
        return DecodeError(f"{type(error).__name__}: {error}")
    return DecodeError(str(error))


def _name(name: Any, label: str) -> str:
    if not isinstance(name, str) or not name or name in IDENTITY_COLUMNS:
        taken = ", ".join(IDENTITY_COLUMNS)
        raise _fault(label, f"must name columns by texts other than {taken}; found {name!r:.80}")
    return name


def _as_array(name: Any, column: Any, label: str) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    if isinstance(column, pa.Array):
        return column
    try:
        if isinstance(column, np.ndarray):
            return tensor_array(column)
        return pa.array(column)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise _fault(
            label,
            f"returned {_kind(column)} in the column {name!r}, which cannot be stored: {error}",
        ) from error
