"""Rows of numbers: one float32 vector each."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.data.tensors import array_tensor, tensor_array
from airflow_provider_aiopt.exceptions import DecodeError, RecordError
from airflow_provider_aiopt.runtimes.base import TensorInfo, numpy_dtype
from airflow_provider_aiopt.spec.preprocess import TabularPreprocessSpec

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

TENSOR = "tensor"
_LARGEST = 3.4028234663852886e38  # of float32


class TabularTransform:
    """Prepares float32 vectors of one value per column.

    :param spec: the settings
    :param width: how many columns a row has
    """

    def __init__(self, spec: TabularPreprocessSpec, width: int) -> None:
        self._spec = spec
        self._width = width

    @property
    def version(self) -> str:
        """See :attr:`Transform.version`."""
        return "tabular 1"

    def prepare(
        self,
        payloads: Sequence[bytes],
        executor: Executor,  # noqa: ARG002 - nothing here is worth a thread
    ) -> tuple[dict[str, pa.Array], dict[int, RecordError]]:
        """Convert the columns to numbers; see :meth:`Transform.prepare`."""
        import numpy as np

        rows: list[list[float]] = []
        errors: dict[int, RecordError] = {}
        for index, payload in enumerate(payloads):
            try:
                rows.append(_numbers(payload))
            except (OverflowError, TypeError, ValueError) as error:
                errors[index] = DecodeError(f"The row is not made of numbers: {error}")
        values = np.asarray(rows, np.float32).reshape(len(rows), self._width)
        return {TENSOR: tensor_array(values)}, errors

    def feeds(
        self, batch: pa.RecordBatch, inputs: Sequence[TensorInfo]
    ) -> Mapping[str, np.ndarray[Any, Any]]:
        """Normalise the vectors."""
        import numpy as np

        values = array_tensor(batch.column(TENSOR))
        if self._spec.mean:
            values = values - np.asarray(self._spec.mean, np.float32)
        if self._spec.std:
            values = values / np.asarray(self._spec.std, np.float32)
        return {inputs[0].name: values.astype(numpy_dtype(inputs[0]), copy=False)}


def _numbers(payload: bytes) -> list[float]:
    values = json.loads(payload)
    numbers = [float(value) for value in (values if isinstance(values, list) else [values])]
    if too_large := [number for number in numbers if _LARGEST < abs(number) < math.inf]:
        raise OverflowError(f"{too_large[0]} is beyond float32")
    return numbers
