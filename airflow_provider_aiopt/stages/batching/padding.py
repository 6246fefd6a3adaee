"""Filling up tensors to a call's size, and taking the filling out of what the model answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Tensors = Mapping[str, np.ndarray[Any, Any]]


def pad_rows(feeds: Tensors, padded: int) -> Tensors:
    """Return *feeds* with *padded* rows each; the last row is repeated, which no model can stumble over.

    :param feeds: tensors whose first axis is the batch, with one row at least where rows are to be added
    """
    import numpy as np

    return {
        name: value
        if len(value) >= padded
        else np.concatenate([value, np.repeat(value[-1:], padded - len(value), axis=0)])
        for name, value in feeds.items()
    }


def trim_rows(outputs: Tensors, padded: int, rows: int) -> Tensors:
    """Return the first *rows* rows of the outputs of a call with *padded* rows.

    An output whose first axis is not the batch is left as it is, for the output head to judge.
    """
    return {
        name: value[:rows] if getattr(value, "ndim", 0) and len(value) == padded else value
        for name, value in outputs.items()
    }
