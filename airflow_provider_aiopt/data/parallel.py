"""Threads that work side by side and answer in order."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


class SerialExecutor(Executor):
    """Runs every call at once on the caller's own thread, for code that takes an executor."""

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Call *fn* and return its outcome as a finished future."""
        future: Future[R] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is taken
            future.set_exception(error)
        return future


def map_ordered(
    function: Callable[[T], R],
    items: Iterable[T],
    executor: Executor,
    *,
    ahead: int,
    weigh: Callable[[T], int] = lambda _: 0,
    budget: float = math.inf,
) -> Iterator[R]:
    """Apply *function* in the executor's threads and yield the results in order.

    Unlike :meth:`concurrent.futures.Executor.map` it holds a bounded number of items and results, whatever
    the input's size: it takes no further item while *ahead* of them, or items that weigh more than *budget*,
    are under way or unclaimed.  One item is always let in, however heavy.

    :param function: called with each item
    :param items: taken one by one, as results are taken
    :param executor: where the calls run
    :param ahead: how many calls may be under way or unclaimed
    :param weigh: an item's weight, for example its bytes
    :param budget: the weight that may be under way or unclaimed
    """
    pending: deque[tuple[Future[R], int]] = deque()
    load = 0
    try:
        for item in items:
            weight = weigh(item)
            while pending and load + weight > budget:
                load -= pending[0][1]
                yield pending.popleft()[0].result()
            pending.append((executor.submit(function, item), weight))
            load += weight
            if len(pending) >= ahead:
                load -= pending[0][1]
                yield pending.popleft()[0].result()
        while pending:
            yield pending.popleft()[0].result()
    finally:
        for future, _ in pending:
            future.cancel()
