"""Inference: from tensors to the model's outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_aiopt.data.tensors import drop_rows, make_batch, tensor_array
from airflow_provider_aiopt.exceptions import NonFiniteOutputError, RecordError
from airflow_provider_aiopt.runtimes.base import ModelRuntime, check_feeds
from airflow_provider_aiopt.stages.base import StageOutput, bad_records
from airflow_provider_aiopt.stages.outputs.base import OutputHead
from airflow_provider_aiopt.stages.transforms.base import Transform

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "inference"
OUTPUT = "output"


class InferenceStage:
    """Turns batches of prepared tensors into batches with the column ``output``, float32 ``[width]``.

    :param runtime: the loaded model
    :param transform: builds the model's input tensors
    :param head: reduces the model's outputs
    """

    def __init__(self, runtime: ModelRuntime, transform: Transform, head: OutputHead) -> None:
        self._runtime = runtime
        self._transform = transform
        self._head = head

    def process(self, batch: pa.RecordBatch) -> StageOutput:
        """Run the model on one batch; records for which it answers NaN or infinity are bad.

        :raises ModelInputError: if the tensors do not fit the model
        :raises ModelOutputError: if its output does not fit the head
        """
        import numpy as np

        feeds = self._transform.feeds(batch, self._runtime.inputs)
        check_feeds(self._runtime.inputs, feeds)
        reduced = self._head.reduce(self._runtime.run(feeds), feeds)
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

    def close(self) -> None:
        """Keep the model: the process may need it again."""
