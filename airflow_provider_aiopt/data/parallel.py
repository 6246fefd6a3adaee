"""Threads that work side by side and answer in order."""

from __future__ import annotations

import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Any, Generic, NamedTuple, TypeVar

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
    together: Callable[[T], Hashable] | None = None,
) -> Generator[R, None, None]:
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
    :param together: tells which items' results may be yielded as they come: those of neighbours for which it
        returns the same; default: none
    """
    pending: deque[_Call[R]] = deque()
    load = 0
    try:
        for item in items:
            weight = weigh(item)
            while pending and load + weight > budget:
                call = _claim(pending)
                load -= call.weight
                yield call.future.result()
            group = object() if together is None else together(item)
            pending.append(_Call(executor.submit(function, item), weight, group))
            load += weight
            if len(pending) >= ahead:
                call = _claim(pending)
                load -= call.weight
                yield call.future.result()
        while pending:
            yield _claim(pending).future.result()
    finally:
        for call in pending:
            call.future.cancel()


class _Call(NamedTuple, Generic[R]):
    future: Future[R]
    weight: int
    group: Hashable


def _claim(pending: deque[_Call[R]]) -> _Call[R]:
    """Take out the call whose result comes next: of the first one's group the first that ends."""
    first = pending[0].group
    group = list(itertools.takewhile(lambda call: call.group == first, pending))
    if len(group) > 1:
        wait([call.future for call in group], return_when=FIRST_COMPLETED)
    call = next((call for call in group if call.future.done()), group[0])
    pending.remove(call)
    return call
