"""How the work is cut and how much of it runs at once."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator, model_validator

from airflow_provider_aiopt.spec.base import SpecModel

AUTO = "auto"
MAX_SHARDS = 99_999
"""Most shards of a run: their names have five digits."""


def _size_or_auto(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Say once what is allowed; pydantic would complain of each member of the union."""
    try:
        return handler(value)
    except ValidationError:
        found = f"{value!r:.80}" if isinstance(value, str | int | float) else "a value"
        raise ValueError(
            f"found {found} ({type(value).__name__}); must be a whole number, 1 or more, or 'auto'"
        ) from None


BatchSize = Annotated[Annotated[int, Field(ge=1)] | Literal["auto"], WrapValidator(_size_or_auto)]
"""Records per inference call, or ``auto``."""


class BatchingSpec(SpecModel):
    """How inference cuts batches into calls of the model.

    :param pad_to: rows that calls are padded to, ascending; a call takes the smallest that holds its records.
        For devices that tune themselves anew for each shape, as CUDA and TensorRT do.  Empty: no padding
    :param max_batch_size: with ``batch_size: auto``, the most records per call
    :param max_latency_ms: with ``batch_size: auto``, milliseconds that one call may take
    :param max_bytes: with ``batch_size: auto``, bytes that the input and output tensors of one call may have
    """

    pad_to: tuple[Annotated[int, Field(ge=1)], ...] = ()
    max_batch_size: int = Field(default=64, ge=1)
    max_latency_ms: float | None = Field(default=None, gt=0)
    max_bytes: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _sizes_ascend(self) -> Self:
        if list(self.pad_to) != sorted(set(self.pad_to)):
            raise ValueError(
                f"pad_to must ascend, each size once; found {list(self.pad_to)}. "
                f"Write {sorted(set(self.pad_to))}"
            )
        return self


class ExecutionSpec(SpecModel):
    """Sizes and limits of a run.

    :param shards: parts that the records are split into; in Airflow each becomes one mapped task per stage
    :param shard_bytes: bytes of the source that one part shall have, in place of ``shards``: how many there
        are follows from the listed sizes.  Files of a size that is not listed count as 0
    :param batch_size: records per inference call; the default suits a CPU, whose caches hold no more, while a
        GPU wants 32 or more; ``auto`` measures a few sizes as inference begins and takes the smallest that is
        about as fast as the best.  Results do not depend on it
    :param batching: how inference cuts batches into calls
    :param workers: threads that read, decode and call the model side by side; default: one for each core
        that the process may use, and in streaming on the CPU one more
    :param keep_order: whether results keep the order of the source; without, streaming hands those of one
        shard on as they come.  Which records a shard has, and what their results are, stays the same
    :param max_bytes_in_flight: bytes of records that are held at once: in streaming beside its batches'
        tensors, in staged execution read ahead, being worked on and waiting to be written, a third each
    :param record_timeout_s: seconds that preparing one record may take before it is quarantined; null for no
        limit.  More than 16 that hang at once fail the task: their threads cannot be ended before the process
    :param max_bad_fraction: share of the run's records that may be quarantined, 0 to 1, before the run fails
    :param resume: whether a retry goes on after the shards that an earlier attempt finished
    """

    shards: int = Field(default=1, ge=1, le=MAX_SHARDS)
    shard_bytes: int | None = Field(default=None, ge=1)
    batch_size: BatchSize = 8
    batching: BatchingSpec = BatchingSpec()
    workers: int | None = Field(default=None, ge=1)
    keep_order: bool = True
    max_bytes_in_flight: int = Field(default=256 * 1024 * 1024, ge=1)
    record_timeout_s: float | None = Field(default=300.0, gt=0)
    max_bad_fraction: float = Field(default=1.0, ge=0, le=1)
    resume: bool = True

    @property
    def batch_rows(self) -> int:
        """Records of one batch between the stages; what ``auto`` finds does not change it."""
        return self.batching.max_batch_size if self.batch_size == "auto" else self.batch_size

    @property
    def call_sizes(self) -> tuple[int, ...]:
        """Rows that full calls of the model have, ascending."""
        return self.batching.pad_to or (self.batch_rows,)

    @model_validator(mode="after")
    def _one_way_to_cut(self) -> Self:
        if self.shard_bytes is not None and self.shards > 1:
            raise ValueError(
                f"shards ({self.shards}) and shard_bytes ({self.shard_bytes}) contradict each other. Give "
                "one of them: the number of shards, or their size"
            )
        return self

    @model_validator(mode="after")
    def _batching_fits_batch_size(self) -> Self:
        batching = self.batching
        for key in ("max_latency_ms", "max_bytes"):
            if self.batch_size != AUTO and getattr(batching, key) is not None:
                raise ValueError(
                    f"batching.{key} bounds what batch_size 'auto' may choose, but batch_size is "
                    f"{self.batch_size}. Set batch_size to 'auto', or leave {key} out"
                )
        if batching.pad_to and batching.pad_to[-1] != self.batch_rows:
            key = "batching.max_batch_size" if self.batch_size == AUTO else "batch_size"
            raise ValueError(
                f"the largest of batching.pad_to is {batching.pad_to[-1]}, but {key} is {self.batch_rows}. "
                "Make them equal: full batches are then padded to their own size"
            )
        return self
