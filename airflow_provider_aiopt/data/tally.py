"""Counting blocks and adding up the time that they take, on whichever threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class TimeTally:
    """How often something was done, and how long that took in all.

    Where several threads do it at once the seconds of each count: by Little's law, ``seconds`` over the time
    that passed is how many did it at once on average.

    :param now: a monotonic clock in seconds
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.count = 0
        self.seconds = 0.0
        self._now = now
        self._lock = threading.Lock()

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the block, whether it succeeds or raises, and add its time."""
        began = self._now()
        try:
            yield
        finally:
            elapsed = self._now() - began
            with self._lock:
                self.count += 1
                self.seconds += elapsed
