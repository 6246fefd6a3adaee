"""Preprocessing: from payloads to tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING

from airflow_provider_aiopt.data.cache.base import RowCache
from airflow_provider_aiopt.data.limited import LimitedThreads
from airflow_provider_aiopt.data.parallel import SerialExecutor
from airflow_provider_aiopt.data.processes import LimitedProcesses
from airflow_provider_aiopt.data.tally import TimeTally
from airflow_provider_aiopt.data.tensors import drop_rows, make_batch
from airflow_provider_aiopt.exceptions import (
    AioptError,
    DecodeError,
    RecordCrashError,
    RecordError,
    RecordTimeoutError,
)
from airflow_provider_aiopt.stages.base import StageOutput, bad_records
from airflow_provider_aiopt.stages.caching import prepare_with_cache
from airflow_provider_aiopt.stages.transforms.base import Transform

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "preprocess"
_MAX_STUCK = 16


def decoding_executor(
    threads: int,
    *,
    limit_s: float | None,
    serial: bool = False,
    on_cpu: Callable[[float], None] | None = None,
    initializer: Callable[[], object] | None = None,
) -> Executor:
    """Return where a stage's records are decoded.

    :param threads: how many are decoded at once
    :param limit_s: seconds that each may take, None for no limit
    :param serial: whether those of one batch are decoded one after the other, several batches at once
    :param on_cpu: told the CPU time, in seconds, that was not spent on the calling thread
    :param initializer: called in each process before its first records, where they are to be decoded in
        processes; None for threads
    """
    if initializer is not None:
        return LimitedProcesses(
            threads,
            limit_s=limit_s,
            on_timeout=lambda: _timeout(limit_s),
            on_crash=lambda how: RecordCrashError(f"The process that prepared the record {how}"),
            initializer=initializer,
            width=1 if serial else None,
            on_cpu=on_cpu,
        )
    if limit_s is not None:
        return LimitedThreads(
            threads,
            limit_s=limit_s,
            substitute=lambda: _timeout(limit_s),
            max_stuck=_MAX_STUCK,
            width=1 if serial else None,
            on_cpu=on_cpu,
        )
    return SerialExecutor() if serial else ThreadPoolExecutor(threads, thread_name_prefix="aiopt-preprocess")


def _timeout(limit_s: float | None) -> RecordTimeoutError:
    return RecordTimeoutError(
        f"Preparing the record was given up after {limit_s:g} s, which is what "
        "execution.record_timeout_s allows"
    )


class PreprocessStage:
    """Turns batches with the column ``payload`` into batches of compact tensors.

    :param transform: how
    :param executor: where records of one batch are prepared side by side; closed with the stage
    :param cache: knows records that were prepared before; closed with the stage
    :param calls: counts the batches that the transform prepares, and adds up the time that it takes
    """

    def __init__(
        self,
        transform: Transform,
        *,
        executor: Executor,
        cache: RowCache | None = None,
        calls: TimeTally | None = None,
    ) -> None:
        self._transform = transform
        self._executor = executor
        self._cache = cache
        self._calls = calls or TimeTally()

    def process(self, batch: pa.RecordBatch) -> StageOutput:
        """Prepare one batch; records that cannot be decoded, or that the transform raises for, are bad."""
        payloads = batch.column("payload")
        if self._cache is None:
            columns, errors = self._prepare(payloads.to_pylist())
        else:
            keys = [bytes.fromhex(digest) for digest in batch.column("sha256").to_pylist()]
            columns, errors = prepare_with_cache(self._cache, keys, payloads, self._prepare)
        good = drop_rows(batch, list(errors))
        return StageOutput(make_batch(good, columns), bad_records(NAME, batch, errors))

    def _prepare(self, payloads: Sequence[bytes]) -> tuple[dict[str, pa.Array], dict[int, RecordError]]:
        try:
            with self._calls.timed():
                return self._transform.prepare(payloads, self._executor)
        except (AioptError, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - a bug shall cost no record but the one that it shows in
            return self._prepare_rest(payloads)

    def _prepare_rest(self, payloads: Sequence[bytes]) -> tuple[dict[str, pa.Array], dict[int, RecordError]]:
        """Prepare the records that the transform does not raise for on their own."""
        faults = {row: fault for row, payload in enumerate(payloads) if (fault := self._fault(payload))}
        rest = [row for row in range(len(payloads)) if row not in faults]
        columns, errors = self._transform.prepare([payloads[row] for row in rest], self._executor)
        return columns, {**faults, **{rest[index]: error for index, error in errors.items()}}

    def _fault(self, payload: bytes) -> RecordError | None:
        try:
            self._transform.prepare([payload], self._executor)
        except (AioptError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever the bug makes it raise
            return DecodeError(f"The transform raised {type(error).__name__}: {error}")
        return None

    def close(self) -> None:
        """Stop the threads; calls that have not begun are dropped."""
        self._executor.shutdown(cancel_futures=True)
        if self._cache is not None:
            self._cache.close()
