"""Taking a batch through the model call by call, in sizes that the device bears."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from pydantic import JsonValue

from airflow_provider_aiopt.exceptions import DeviceOutOfMemoryError
from airflow_provider_aiopt.stages.batching.knee import KneeSearch, worth_measuring
from airflow_provider_aiopt.stages.batching.policies import BatchPolicy, Cut, next_cut

T = TypeVar("T")
Call = Callable[[Cut], tuple[T, int]]
"""Runs the model on a part of a batch; returns what it made and the bytes of the call's tensors."""

_MIN_CALLS = 3
_MEASURED_S = 0.1  # a size that has run this long is measured well enough
_SEARCH_S = 5.0  # a model this slow gains less from a better size than measuring more of them costs


class Batcher:
    """Cuts batches into calls; several threads may use it at once.

    Where the device's memory runs out, calls are halved, from the failed one on and for good.

    :param policy: how large calls are
    :param search: how to find the policy's size; it is asked at the first batch, while other threads wait
    :param now: a monotonic clock in seconds
    """

    def __init__(
        self,
        policy: BatchPolicy,
        search: KneeSearch | None = None,
        *,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._policy = policy
        self._search = search
        self._now = now
        self._lock = threading.Lock()
        self._tuning = threading.Lock()
        self._calls: dict[int, int] = {}
        self._padded_rows = 0
        self._halvings: list[JsonValue] = []
        self._found: dict[str, JsonValue] = {}

    def run(self, total: int, call: Call[T]) -> list[T]:
        """Take a batch of *total* rows through *call*, part by part, and return what it made in order.

        :raises DeviceOutOfMemoryError: if the smallest call does not fit the device either
        """
        if self._search is not None:
            self._tune(total, call)
        made: list[T] = []
        start = 0
        while start < total or not made:
            with self._lock:
                cut = next_cut(self._policy, start, total)
            try:
                made.append(call(cut)[0])
            except DeviceOutOfMemoryError as error:
                self._halve(cut.padded, error)
            else:
                start = cut.stop
                self._count(cut)
        return made

    def facts(self) -> dict[str, JsonValue]:
        """Return for the stage's report what was chosen and why, and what it cost."""
        with self._lock:
            return {
                "policy": self._policy.name,
                "size": self._policy.size,
                "calls": {str(rows): self._calls[rows] for rows in sorted(self._calls)},
                "padded_rows": self._padded_rows,
                "halvings": list(self._halvings),
                **self._found,
            }

    def _count(self, cut: Cut) -> None:
        with self._lock:
            self._calls[cut.padded] = self._calls.get(cut.padded, 0) + 1
            self._padded_rows += cut.padded - cut.rows

    def _halve(self, failed: int, error: DeviceOutOfMemoryError) -> None:
        with self._lock:
            if self._policy.size < failed:
                return  # another thread's call was too large as well, and has halved them already
            smaller = self._policy.limited(failed // 2)
            if smaller is None:
                raise DeviceOutOfMemoryError(
                    f"A call of {failed} row{'s' * (failed > 1)}, the fewest that there can be, does not fit "
                    "the device's memory. Free memory of the device, use a smaller model or input, or set "
                    f"model.device to cpu. {error}"
                ) from error
            self._policy = smaller
            self._halvings.append({"rows": failed, "to": smaller.size})

    def _tune(self, total: int, call: Call[T]) -> None:
        with self._tuning:
            search = self._search
            if search is None or not total:
                return
            began = self._now()
            search.sizes = worth_measuring(search.sizes, total)
            while (size := search.next_size()) is not None:
                try:
                    search.record(size, *self._measure(Cut(0, min(size, total), size), call))
                except DeviceOutOfMemoryError as error:
                    search.stop("out_of_memory")
                    self._halve(size, error)
                if self._now() - began > _SEARCH_S and search.next_size() is not None:
                    search.stop("time")
            self._take(search, self._now() - began)
            self._search = None

    def _measure(self, cut: Cut, call: Call[T]) -> tuple[float, int]:
        """Return the shortest duration of a few calls, and their tensors' bytes."""
        call(cut)  # a shape's first call tunes the device
        durations: list[float] = []
        while len(durations) < _MIN_CALLS and sum(durations) < _MEASURED_S:
            began = self._now()
            _, nbytes = call(cut)
            durations.append(self._now() - began)
        return min(durations), nbytes

    def _take(self, search: KneeSearch, seconds: float) -> None:
        with self._lock:
            chosen = search.chosen
            limited = self._policy.limited(chosen) if chosen else None
            self._policy = limited or self._policy
            self._found = {
                "auto": {
                    "chosen": self._policy.size,
                    "bound": search.bound,
                    "rows_per_s": {str(size): round(rate, 2) for size, rate in search.throughput.items()},
                    "seconds": round(seconds, 3),
                }
            }
