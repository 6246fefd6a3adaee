"""Executors that answer when the work is done."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, TypeVar

R = TypeVar("R")


class BlockingExecutor(Executor):
    """An executor whose calls have ended when :meth:`submit` or :meth:`map` returns."""

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Call *fn* and return its outcome as a finished future."""
        future: Future[R] = Future()
        try:
            future.set_result(next(self._run(partial(fn, **kwargs), [args])))
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is taken
            future.set_exception(error)
        return future

    def map(
        self,
        fn: Callable[..., R],
        *iterables: Iterable[Any],
        timeout: float | None = None,  # noqa: ARG002 - each call has its own
        chunksize: int = 1,  # noqa: ARG002 - the items are taken one after the other
    ) -> Iterator[R]:
        """Call *fn* with each item and return the results in order; it waits for all of them.

        :raises BaseException: what the first call that raised did
        """
        return self._run(fn, list(zip(*iterables, strict=False)))

    @abstractmethod
    def _run(self, fn: Callable[..., R], items: Sequence[tuple[Any, ...]]) -> Iterator[R]:
        """Call *fn* with the arguments of each item and return the results in order.

        :raises BaseException: what the first call that raised did
        """
