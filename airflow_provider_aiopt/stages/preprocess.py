"""Preprocessing: from payloads to tensors."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import TYPE_CHECKING

from airflow_provider_aiopt.data.tensors import drop_rows, make_batch
from airflow_provider_aiopt.stages.base import StageOutput, bad_records
from airflow_provider_aiopt.stages.transforms.base import Transform

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "preprocess"


class PreprocessStage:
    """Turns batches with the column ``payload`` into batches of compact tensors.

    :param transform: how
    :param executor: where records of one batch are prepared side by side; closed with the stage
    """

    def __init__(self, transform: Transform, *, executor: Executor) -> None:
        self._transform = transform
        self._executor = executor

    def process(self, batch: pa.RecordBatch) -> StageOutput:
        """Prepare one batch; records that cannot be decoded are bad."""
        columns, errors = self._transform.prepare(batch.column("payload").to_pylist(), self._executor)
        good = drop_rows(batch, list(errors))
        return StageOutput(make_batch(good, columns), bad_records(NAME, batch, errors))

    def close(self) -> None:
        """Stop the threads; calls that have not begun are dropped."""
        self._executor.shutdown(cancel_futures=True)
