"""Searching the knee of throughput against batch size: from where on larger calls bring next to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

TOLERANCE = 0.05
"""Share of throughput that is given up for a smaller batch, and that a larger one must bring to go on."""

_RESOLUTION_S = 1e-9  # of the clock
_PATIENCE = 2  # sizes in a row that bring less before the search ends

Bound = Literal["knee", "largest", "latency", "memory", "out_of_memory", "time"]


@dataclass
class KneeSearch:
    """Says which size to measure next, and at the end which to take.

    It measures nothing itself: the caller runs the model and tells :meth:`record`.  Sizes ascend, so the
    search ends where a bound is passed.

    :param sizes: candidates, ascending
    :param max_latency_s: seconds that a call may take
    :param max_bytes: bytes that a call's tensors may have
    """

    sizes: Sequence[int]
    max_latency_s: float | None = None
    max_bytes: int | None = None
    bound: Bound = "largest"
    throughput: dict[int, float] = field(default_factory=dict)
    _fitting: list[int] = field(default_factory=list)
    _without_gain: int = 0
    _bytes_per_row: float = 0.0
    _ended: bool = False

    def next_size(self) -> int | None:
        """Return the size to measure next, None where the search is over."""
        size = next((size for size in self.sizes if size not in self.throughput), None)
        if self._ended or size is None:
            return None
        if self._fitting and self.max_bytes is not None and self._bytes_per_row * size > self.max_bytes:
            self.stop("memory")
            return None
        return size

    def record(self, size: int, seconds: float, nbytes: int) -> None:
        """Take note of a measured size.

        :param size: rows of the call
        :param seconds: its duration
        :param nbytes: bytes of its input and output tensors
        """
        best = max((self.throughput[fitting] for fitting in self._fitting), default=0.0)
        self.throughput[size] = size / max(seconds, _RESOLUTION_S)
        self._bytes_per_row = nbytes / size
        if self.max_latency_s is not None and seconds > self.max_latency_s:
            self.stop("latency")
            return
        self._fitting.append(size)
        self._without_gain = 0 if self.throughput[size] > best * (1 + TOLERANCE) else self._without_gain + 1
        if self._without_gain >= _PATIENCE:
            self.stop("knee")

    def stop(self, bound: Bound) -> None:
        """End the search: the last size did not fit the device, or measuring takes too long."""
        self._ended = True
        self.bound = bound

    @property
    def chosen(self) -> int | None:
        """The smallest size within the bounds whose throughput is about the best; None where no size ran.

        Where even the smallest passes a bound it is the smallest: records have to be worked on.
        """
        if not self._fitting:
            return next(iter(self.throughput), None)
        enough = max(self.throughput[size] for size in self._fitting) * (1 - TOLERANCE)
        return next(size for size in self._fitting if self.throughput[size] >= enough)


def doubling_sizes(most: int) -> tuple[int, ...]:
    """Return 1, 2, 4 and so on, and *most*."""
    return (*(1 << power for power in range((most - 1).bit_length())), most)


def worth_measuring(sizes: Sequence[int], rows: int) -> tuple[int, ...]:
    """Return those of *sizes* that batches of *rows* rows can fill, or fill more than half."""
    return tuple(size for size in sizes if size < 2 * rows) or tuple(sizes[:1])
