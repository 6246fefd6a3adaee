"""Embeddings and raw outputs: one vector per record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.data.columns import number_column
from airflow_provider_aiopt.exceptions import ModelOutputError
from airflow_provider_aiopt.spec.postprocess import EmbeddingSpec, RawOutputSpec
from airflow_provider_aiopt.stages.outputs.base import batch_rows, pick_output, require_axes

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Tensors = Mapping[str, np.ndarray[Any, Any]]


class EmbeddingHead:
    """Makes the column ``embedding``.

    :param spec: the settings
    """

    def __init__(self, spec: EmbeddingSpec) -> None:
        self._spec = spec

    def reduce(self, outputs: Tensors, feeds: Tensors) -> np.ndarray[Any, Any]:
        """Pool token vectors ``[batch, tokens, width]`` to float32 ``[batch, width]``.

        Mean pooling is that of Reimers and Gurevych, Sentence-BERT (2019): padding does not count.
        """
        value = pick_output(outputs, self._spec.output, batch_rows(feeds)).astype("float32", copy=False)
        if self._spec.pooling == "none":
            require_axes(value, 2, "embedding", ("batch", "width"))
            return value
        require_axes(value, 3, "embedding", ("batch", "tokens", "width"))
        return value[:, 0] if self._spec.pooling == "cls" else _mean(value, feeds)

    def schema(self) -> pa.Schema:
        """Return ``embedding`` (list of float32)."""
        return _vector_schema("embedding")

    def results(self, reduced: np.ndarray[Any, Any]) -> dict[str, pa.Array]:
        """Return the column ``embedding``."""
        import numpy as np

        if self._spec.normalize:
            length = np.linalg.norm(reduced, axis=1, keepdims=True)
            reduced = reduced / np.maximum(length, np.finfo(np.float32).tiny)
        return {"embedding": _vectors(reduced)}


class RawHead:
    """Makes the column ``output``.

    :param spec: the settings
    """

    def __init__(self, spec: RawOutputSpec) -> None:
        self._spec = spec

    def reduce(self, outputs: Tensors, feeds: Tensors) -> np.ndarray[Any, Any]:
        """Flatten the output to float32 ``[batch, width]``."""
        rows = batch_rows(feeds)
        value = pick_output(outputs, self._spec.output, rows)
        return value.astype("float32", copy=False).reshape(rows, -1)

    def schema(self) -> pa.Schema:
        """Return ``output`` (list of float32)."""
        return _vector_schema("output")

    def results(self, reduced: np.ndarray[Any, Any]) -> dict[str, pa.Array]:
        """Return the column ``output``."""
        return {"output": _vectors(reduced)}


def _mean(value: np.ndarray[Any, Any], feeds: Tensors) -> np.ndarray[Any, Any]:
    if "attention_mask" not in feeds:
        raise ModelOutputError(
            "postprocess.pooling 'mean' needs an attention mask, which only preprocess.kind 'text' makes"
        )
    mask = feeds["attention_mask"].astype("float32")[:, :, None]
    pooled: np.ndarray[Any, Any] = (value * mask).sum(axis=1) / mask.sum(axis=1).clip(min=1.0)
    return pooled


def _vector_schema(name: str) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.list_(pa.float32()))])


def _vectors(values: np.ndarray[Any, Any]) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    rows, width = values.shape
    offsets = number_column(np.arange(rows + 1, dtype=np.int32) * width)
    return pa.ListArray.from_arrays(offsets, number_column(np.ascontiguousarray(values).ravel()))
