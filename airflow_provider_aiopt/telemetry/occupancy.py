"""How much of its time something that several threads use is in use."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from airflow_provider_aiopt.data.tally import TimeTally


class Occupancy:
    """Measures for how long at least one of the blocks of :meth:`using` was under way.

    :param now: a monotonic clock in seconds
    :param calls: counts each block and adds up their times
    """

    def __init__(
        self, now: Callable[[], float] = time.perf_counter, *, calls: TimeTally | None = None
    ) -> None:
        self._now = now
        self._calls = calls or TimeTally(now)
        self._lock = threading.Lock()
        self._users = 0
        self._first: float | None = None
        self._since = self._last = 0.0
        self._used_s = 0.0

    @contextmanager
    def using(self) -> Iterator[None]:
        """Count the block's time, once where several run at once."""
        with self._lock:
            if not self._users:
                self._since = self._now()
                self._first = self._since if self._first is None else self._first
            self._users += 1
        try:
            with self._calls.timed():
                yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._last = self._now()
                    self._used_s += self._last - self._since

    @property
    def share(self) -> float | None:
        """The used part of the time from the first block's beginning to the last one's end, 0 to 1.

        None where there was no block yet, or none that took any time.
        """
        with self._lock:
            if self._first is None or self._last <= self._first:
                return None
            return self._used_s / (self._last - self._first)
