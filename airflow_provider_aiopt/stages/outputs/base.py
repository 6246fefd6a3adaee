"""What every output head offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_aiopt.exceptions import ModelOutputError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Tensors = Mapping[str, np.ndarray[Any, Any]]


class OutputHead(Protocol):
    """The two halves of postprocessing: one beside the model, one before results are written."""

    def reduce(self, outputs: Tensors, feeds: Tensors) -> np.ndarray[Any, Any]:
        """Reduce a batch's outputs to what the result needs.

        :param outputs: the model's outputs by name
        :param feeds: the inputs they were made from
        :returns: float32 of shape ``[batch, width]``
        :raises ModelOutputError: if the output does not have the form that the head needs
        """
        ...

    def schema(self) -> pa.Schema:
        """Return the result columns' names and types."""
        ...

    def results(self, reduced: np.ndarray[Any, Any]) -> dict[str, pa.Array]:
        """Turn reduced outputs into result columns."""
        ...


def pick_output(outputs: Tensors, name: str | None, rows: int) -> np.ndarray[Any, Any]:
    """Return the output *name*, or the first, checked to have one row per record.

    :raises ModelOutputError: if there is none of that name, it holds no numbers, or its first axis is not the
        batch
    """
    if name is not None and name not in outputs:
        raise ModelOutputError(
            f"postprocess.output is {name!r}, but the model's outputs are {', '.join(outputs)}"
        )
    chosen = name if name is not None else next(iter(outputs))
    value = outputs[chosen]
    if getattr(value, "dtype", None) is None or value.dtype.kind not in "biuf":
        raise ModelOutputError(
            f"The model's output {chosen!r} is not made of numbers. Set postprocess.output to one of "
            f"{', '.join(outputs)} that is"
        )
    if value.ndim == 0 or value.shape[0] != rows:
        raise ModelOutputError(
            f"The model answered shape {list(value.shape)} for a batch of {rows}: its first axis is not the "
            "batch. Export the model with a dynamic batch axis"
        )
    return value


def batch_rows(feeds: Tensors) -> int:
    """Return how many records *feeds* hold."""
    return int(next(iter(feeds.values())).shape[0])


def require_axes(value: np.ndarray[Any, Any], axes: int, kind: str, meaning: Sequence[str]) -> None:
    """Check the number of axes of an output.

    :raises ModelOutputError: if it is another
    """
    if value.ndim != axes:
        raise ModelOutputError(
            f"postprocess.kind {kind!r} needs an output of shape [{', '.join(meaning)}]; the model answered "
            f"{list(value.shape)}. Choose another postprocess.output or kind"
        )
