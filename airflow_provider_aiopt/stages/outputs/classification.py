"""Classification: the best labels with their scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.data.columns import number_column, text_column
from airflow_provider_aiopt.exceptions import ModelOutputError
from airflow_provider_aiopt.spec.postprocess import ClassificationSpec
from airflow_provider_aiopt.stages.outputs.base import batch_rows, pick_output, require_axes

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


class ClassificationHead:
    """Makes the columns ``label``, ``score`` and ``top_k``, best first.

    Among equal scores the class with the lower index comes first.

    :param spec: the settings
    :param labels: class names by index; without them a label is the index
    """

    def __init__(self, spec: ClassificationSpec, labels: tuple[str, ...] | None) -> None:
        self._spec = spec
        self._labels = labels

    def reduce(
        self, outputs: Mapping[str, np.ndarray[Any, Any]], feeds: Mapping[str, np.ndarray[Any, Any]]
    ) -> np.ndarray[Any, Any]:
        """Return the class outputs, float32 ``[batch, classes]``."""
        value = pick_output(outputs, self._spec.output, batch_rows(feeds))
        require_axes(value, 2, "classification", ("batch", "classes"))
        if self._labels is not None and len(self._labels) != value.shape[1]:
            raise ModelOutputError(
                f"The model answers {value.shape[1]} classes, but its labels name {len(self._labels)}. "
                "Give the labels that belong to the model"
            )
        return value.astype("float32", copy=False)

    def schema(self) -> pa.Schema:
        """Return ``label`` (string), ``score`` (float32) and ``top_k`` (list of label and score)."""
        import pyarrow as pa

        pair = pa.struct([("label", pa.string()), ("score", pa.float32())])
        return pa.schema([("label", pa.string()), ("score", pa.float32()), ("top_k", pa.list_(pair))])

    def results(self, reduced: np.ndarray[Any, Any]) -> dict[str, pa.Array]:
        """Return the columns of :meth:`schema`."""
        import numpy as np
        import pyarrow as pa

        scores = _activate(reduced, self._spec.activation)
        count = min(self._spec.top_k, scores.shape[1])
        order = best_first(scores, count)
        best = np.take_along_axis(scores, order, axis=1).astype(np.float32)
        labels = self._labels_of(order.ravel())
        pairs = pa.StructArray.from_arrays(
            [text_column(labels), number_column(best.ravel())], names=["label", "score"]
        )
        offsets = number_column(np.arange(len(order) + 1, dtype=np.int32) * count)
        return {
            "label": text_column(labels[::count]),
            "score": number_column(best[:, 0]),
            "top_k": pa.ListArray.from_arrays(offsets, pairs),
        }

    def _labels_of(self, classes: np.ndarray[Any, Any]) -> list[str]:
        # Not Arrow's take: the first call of that imports its hundreds of functions.
        names = self._labels
        return [str(index) if names is None else names[index] for index in classes.tolist()]


def best_first(scores: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """Return the columns of each row's *count* greatest scores, ``[rows, count]``, the greatest first.

    Among equal scores the lower column comes first, and NaN comes last: the first *count* columns of a stable
    sort, without sorting the rest.

    :param scores: shape ``[rows, columns]``
    :param count: at most as many as there are columns
    """
    import numpy as np

    if not count:
        return np.empty((len(scores), 0), np.intp)
    falling = -scores
    last = np.partition(falling, count - 1, axis=1)[:, count - 1 : count]
    # Whatever equals the last one competes with it; negated, so that NaN, greater than nothing, stays in.
    rows, columns = np.nonzero(~(falling > last))
    found = columns[np.lexsort((falling[rows, columns], rows))]
    first = np.searchsorted(rows, np.arange(len(scores)))
    best: np.ndarray[Any, Any] = found[first[:, None] + np.arange(count)]
    return best


def _activate(values: np.ndarray[Any, Any], activation: str) -> np.ndarray[Any, Any]:
    import numpy as np

    wide = values.astype(np.float64)
    if activation == "softmax":
        exponentials = np.exp(wide - wide.max(axis=1, keepdims=True))
        result: np.ndarray[Any, Any] = exponentials / exponentials.sum(axis=1, keepdims=True)
        return result
    if activation == "sigmoid":
        small = np.exp(-np.abs(wide))  # never overflows
        return np.asarray(np.where(wide >= 0, 1.0, small) / (1.0 + small))
    return wide
