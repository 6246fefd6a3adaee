"""What every transform offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_aiopt.exceptions import RecordError
from airflow_provider_aiopt.runtimes.base import TensorInfo

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


class Transform(Protocol):
    """The two halves of preprocessing: one before, one after the batch is stored or handed on."""

    @property
    def version(self) -> str:
        """What the prepared columns depend on beside payload and settings: our own code and its libraries.

        Cached columns of another version are not used.  Raise the number in it when what :meth:`prepare`
        makes of the same payload changes.
        """
        ...

    def prepare(
        self, payloads: Sequence[bytes], executor: Executor
    ) -> tuple[dict[str, pa.Array], dict[int, RecordError]]:
        """Turn payloads into compact columns.

        :param payloads: the records' bytes
        :param executor: threads for work that releases the interpreter lock
        :returns: data columns with a row for each good payload, in order; the errors of the others by their
            position
        """
        ...

    def feeds(
        self, batch: pa.RecordBatch, inputs: Sequence[TensorInfo]
    ) -> Mapping[str, np.ndarray[Any, Any]]:
        """Turn a batch's columns into the model's input tensors, the first axis being the batch."""
        ...
