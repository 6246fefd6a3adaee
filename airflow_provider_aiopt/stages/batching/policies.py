"""The policies: how many rows a call of the model has.  They decide and do nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from airflow_provider_aiopt.runtimes.base import TensorInfo


@dataclass(frozen=True, slots=True)
class Cut:
    """The part of a batch that one call takes.

    :param start: its first row
    :param stop: the row after its last
    :param padded: rows that the call has, those that fill it up included
    """

    start: int
    stop: int
    padded: int

    @property
    def rows(self) -> int:
        """Rows whose outputs are wanted."""
        return self.stop - self.start


class BatchPolicy(Protocol):
    """How large calls are."""

    name: ClassVar[str]

    @property
    def size(self) -> int:
        """Most rows that one call takes."""
        ...

    def padded(self, rows: int) -> int:
        """Return how many rows a call for *rows* records has; *rows* is :attr:`size` at most."""
        ...

    def limited(self, rows: int) -> BatchPolicy | None:
        """Return the policy whose calls have *rows* rows at most, None where there is no such call."""
        ...


@dataclass(frozen=True, slots=True)
class FixedBatching:
    """Calls of *size* rows, the last of a batch having what is left.

    :param size: rows
    """

    name: ClassVar[str] = "fixed"
    size: int

    def padded(self, rows: int) -> int:
        """Return *rows*: nothing is padded."""
        return rows

    def limited(self, rows: int) -> FixedBatching | None:
        """Return calls of *rows* rows at most."""
        return FixedBatching(min(self.size, rows)) if rows else None


@dataclass(frozen=True, slots=True)
class BucketedBatching:
    """Calls of a few sizes, so that a device which tunes itself for each shape does so a few times only.

    :param sizes: rows, ascending
    """

    name: ClassVar[str] = "bucketed"
    sizes: tuple[int, ...]

    @property
    def size(self) -> int:
        """The largest size."""
        return self.sizes[-1]

    def padded(self, rows: int) -> int:
        """Return the smallest size that holds *rows*."""
        return next(size for size in self.sizes if size >= rows)

    def limited(self, rows: int) -> BucketedBatching | None:
        """Return the sizes that are *rows* at most; where there is none, *rows* becomes one."""
        if not rows:
            return None
        return BucketedBatching(tuple(size for size in self.sizes if size <= rows) or (rows,))


@dataclass(frozen=True, slots=True)
class ModelBatching:
    """Calls of the one size that the model was exported with.

    :param size: rows
    """

    name: ClassVar[str] = "model"
    size: int

    def padded(self, rows: int) -> int:  # noqa: ARG002 - the same for any number
        """Return the one size."""
        return self.size

    def limited(self, rows: int) -> ModelBatching | None:
        """Return the same calls where they are small enough: no others can be made."""
        return self if self.size <= rows else None


def next_cut(policy: BatchPolicy, start: int, total: int) -> Cut:
    """Return the next call's part of a batch of *total* rows of which those before *start* are done."""
    stop = min(total, start + policy.size)
    return Cut(start, stop, policy.padded(stop - start) if stop > start else 0)


def fixed_rows(inputs: Sequence[TensorInfo]) -> int | None:
    """Return the length of the batch axis that a model was exported with, None where it takes any."""
    lengths = {info.shape[0] if info.shape else None for info in inputs}
    return lengths.pop() if len(lengths) == 1 else None
