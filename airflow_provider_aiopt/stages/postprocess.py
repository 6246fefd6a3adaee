"""Postprocessing: from the model's outputs to results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_aiopt.data.tensors import array_tensor, make_batch
from airflow_provider_aiopt.stages.base import StageOutput
from airflow_provider_aiopt.stages.inference import OUTPUT
from airflow_provider_aiopt.stages.outputs.base import OutputHead

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "postprocess"


class PostprocessStage:
    """Turns batches with the column ``output`` into results.

    :param head: how
    """

    def __init__(self, head: OutputHead) -> None:
        self._head = head

    def process(self, batch: pa.RecordBatch) -> StageOutput:
        """Make one batch's results."""
        return StageOutput(make_batch(batch, self._head.results(array_tensor(batch.column(OUTPUT)))))

    def close(self) -> None:
        """Hold nothing that needs releasing."""
