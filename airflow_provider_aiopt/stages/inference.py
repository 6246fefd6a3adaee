"""Inference: from tensors to the model's outputs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.data.tensors import drop_rows, make_batch, tensor_array
from airflow_provider_aiopt.exceptions import ModelOutputError, NonFiniteOutputError, RecordError
from airflow_provider_aiopt.runtimes.base import ModelRuntime, check_feeds
from airflow_provider_aiopt.stages.base import StageOutput, bad_records
from airflow_provider_aiopt.stages.batching.batcher import Batcher
from airflow_provider_aiopt.stages.batching.padding import pad_rows, trim_rows
from airflow_provider_aiopt.stages.batching.policies import Cut
from airflow_provider_aiopt.stages.outputs.base import OutputHead
from airflow_provider_aiopt.stages.transforms.base import Transform
from airflow_provider_aiopt.telemetry.occupancy import Occupancy

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

NAME = "inference"
OUTPUT = "output"


class InferenceStage:
    """Turns batches of prepared tensors into batches with the column ``output``, float32 ``[width]``.

    :param runtime: the loaded model
    :param transform: builds the model's input tensors
    :param head: reduces the model's outputs
    :param batcher: cuts batches into calls of the model
    :param occupancy: is told when calls of the model are under way
    """

    def __init__(
        self,
        runtime: ModelRuntime,
        transform: Transform,
        head: OutputHead,
        batcher: Batcher,
        occupancy: Occupancy | None = None,
    ) -> None:
        self._runtime = runtime
        self._transform = transform
        self._head = head
        self._batcher = batcher
        self._width: int | None = None
        self._lock = threading.Lock()
        self._occupancy = occupancy or Occupancy()

    def process(self, batch: pa.RecordBatch) -> StageOutput:
        """Run the model on one batch; records for which it answers NaN or infinity are bad.

        :raises ModelInputError: if the tensors do not fit the model
        :raises ModelOutputError: if its output does not fit the head
        :raises DeviceOutOfMemoryError: if the device's memory does not even hold the smallest call
        """
        import numpy as np

        parts = self._batcher.run(batch.num_rows, lambda cut: self._call(batch, cut))
        reduced = parts[0] if len(parts) == 1 else np.concatenate(parts)
        finite = np.isfinite(reduced).all(axis=1)
        errors: dict[int, RecordError] = {
            int(row): NonFiniteOutputError(
                f"The model answered {int((~np.isfinite(reduced[row])).sum())} NaN or infinite values of "
                f"{reduced.shape[1]}"
            )
            for row in np.flatnonzero(~finite)
        }
        good = drop_rows(batch, list(errors))
        values = reduced if finite.all() else reduced[finite]
        return StageOutput(make_batch(good, {OUTPUT: tensor_array(values)}), bad_records(NAME, batch, errors))

    def _call(self, batch: pa.RecordBatch, cut: Cut) -> tuple[np.ndarray[Any, Any], int]:
        """Return the reduced outputs of the rows of *cut*, and the bytes of the call's tensors."""
        feeds = self._transform.feeds(batch.slice(cut.start, cut.rows), self._runtime.inputs)
        padded = pad_rows(feeds, cut.padded)
        check_feeds(self._runtime.inputs, padded)
        with self._occupancy.using():
            answered = self._runtime.run(padded)
        nbytes = sum(value.nbytes for tensors in (padded, answered) for value in tensors.values())
        reduced = self._head.reduce(trim_rows(answered, cut.padded, cut.rows), feeds)
        self._check_width(reduced.shape[1])
        return reduced, nbytes

    def _check_width(self, width: int) -> None:
        """Check that all calls answer alike: the rows of one column have one width."""
        with self._lock:
            first = self._width = width if self._width is None else self._width
        if width != first:
            raise ModelOutputError(
                f"The model answered {width} values per record to one call and {first} to an earlier one, "
                "but all results of a run must have the same. Choose another postprocess.output, a "
                "postprocess.kind that reduces it (embedding with pooling), or a model whose output does not "
                "grow with its input"
            )

    def close(self) -> None:
        """Keep the model: the process may need it again."""
