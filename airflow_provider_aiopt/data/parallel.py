"""Threads that work side by side and answer in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def map_ordered(
    function: Callable[[T], R], items: Iterable[T], executor: Executor, *, ahead: int
) -> Iterator[R]:
    """Apply *function* in the executor's threads and yield the results in order.

    Unlike :meth:`concurrent.futures.Executor.map` it holds at most *ahead* results, whatever the input's
    size.

    :param function: called with each item
    :param items: taken one by one, as results are taken
    :param executor: where the calls run
    :param ahead: how many calls may be under way or unclaimed
    """
    pending: deque[Future[R]] = deque()
    try:
        for item in items:
            pending.append(executor.submit(function, item))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
