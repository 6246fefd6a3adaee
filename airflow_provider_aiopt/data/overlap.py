"""Reading ahead of whoever computes, and writing behind, each on a thread of its own and within a bound."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class ReadAhead(Iterator[T], Generic[T]):
    """Takes an iterator's items on a thread of its own, before they are asked for.

    An error of the iterator comes in its place, behind the items before it.  Leaving the block ends the
    thread, and with it the iterator if it is a generator, as soon as the item under way is there.

    :param items: what is read; nobody else may use it
    :param weigh: an item's weight, for example its bytes
    :param budget: the weight that may be ready and not yet asked for; one item always may
    """

    def __init__(self, items: Iterator[T], *, weigh: Callable[[T], int], budget: float) -> None:
        self._items = items
        self._weigh = weigh
        self._budget = budget
        self._ready: deque[tuple[T, int]] = deque()
        self._load = 0
        self._ended = self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="aiopt-read-ahead", daemon=True)

    def __enter__(self) -> Self:
        """Begin to read."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop reading, and wait for the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def __next__(self) -> T:
        """Return the next item, waiting for it if it has to be."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._ended)
            if self._ready:
                item, weight = self._ready.popleft()
                self._load -= weight
                self._changed.notify_all()
                return item
            if self._error is not None:
                raise self._error
            raise StopIteration

    def _read(self) -> None:
        try:
            for item in self._items:
                if not self._keep(item):
                    break
        except BaseException as error:  # noqa: BLE001 - it is raised again where the item is asked for
            self._error = error
        finally:
            if close := getattr(self._items, "close", None):
                close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _keep(self, item: T) -> bool:
        """Keep *item* as soon as there is room for it; False if nobody will ask for it."""
        weight = self._weigh(item)
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or not self._ready or self._load + weight <= self._budget
            )
            if self._closed:
                return False
            self._ready.append((item, weight))
            self._load += weight
            self._changed.notify_all()
            return True


class WriteBehind:
    """Runs actions one after the other on a thread of its own, while whoever asked for them goes on.

    The first action that raises is the last that runs; its error is raised by the next call of
    :meth:`submit` or :meth:`drain`.  Leaving the block drops what has not begun and waits for what has.

    :param budget: the weight of the actions that may be under way or waiting; one always may
    """

    def __init__(self, *, budget: float) -> None:
        self._budget = budget
        self._waiting: deque[tuple[Callable[[], object], int]] = deque()
        self._load = 0
        self._unfinished = 0
        self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="aiopt-write-behind", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop what has not begun, and wait for the thread."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join()

    def submit(self, action: Callable[[], object], weight: int = 0) -> None:
        """Have *action* run after those before it, waiting while they weigh too much.

        :raises BaseException: what an action before it raised
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._error or not self._unfinished or self._load + weight <= self._budget
            )
            self._raise()
            self._waiting.append((action, weight))
            self._load += weight
            self._unfinished += 1
            self._changed.notify_all()

    def drain(self) -> None:
        """Wait until all actions have run.

        :raises BaseException: what one of them raised
        """
        with self._changed:
            self._changed.wait_for(lambda: self._error or not self._unfinished)
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (entry := self._take()) is not None:
            action, weight = entry
            try:
                action()
            except BaseException as error:  # noqa: BLE001 - it is raised again where the next one is asked for
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            del action, entry  # what it holds is let go of before the thread waits
            with self._changed:
                self._load -= weight
                self._unfinished -= 1
                self._changed.notify_all()

    def _take(self) -> tuple[Callable[[], object], int] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return self._waiting.popleft() if self._waiting else None
