"""Preprocessing: from payloads to tensors."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from airflow_provider_aiopt.data.cache.base import RowCache
from airflow_provider_aiopt.data.tensors import drop_rows, make_batch
from airflow_provider_aiopt.exceptions import RecordError
from airflow_provider_aiopt.stages.base import StageOutput, bad_records
from airflow_provider_aiopt.stages.caching import prepare_with_cache
from airflow_provider_aiopt.stages.transforms.base import Transform

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "preprocess"


class PreprocessStage:
    """Turns batches with the column ``payload`` into batches of compact tensors.

    :param transform: how
    :param executor: where records of one batch are prepared side by side; closed with the stage
    :param cache: knows records that were prepared before; closed with the stage
    """

    def __init__(self, transform: Transform, *, executor: Executor, cache: RowCache | None = None) -> None:
        self._transform = transform
        self._executor = executor
        self._cache = cache

    def process(self, batch: pa.RecordBatch) -> StageOutput:
        """Prepare one batch; records that cannot be decoded are bad."""
        payloads = batch.column("payload")
        if self._cache is None:
            columns, errors = self._prepare(payloads.to_pylist())
        else:
            keys = [bytes.fromhex(digest) for digest in batch.column("sha256").to_pylist()]
            columns, errors = prepare_with_cache(self._cache, keys, payloads, self._prepare)
        good = drop_rows(batch, list(errors))
        return StageOutput(make_batch(good, columns), bad_records(NAME, batch, errors))

    def close(self) -> None:
        """Stop the threads; calls that have not begun are dropped."""
        self._executor.shutdown(cancel_futures=True)
        if self._cache is not None:
            self._cache.close()

    def _prepare(self, payloads: Sequence[bytes]) -> tuple[dict[str, pa.Array], dict[int, RecordError]]:
        return self._transform.prepare(payloads, self._executor)
