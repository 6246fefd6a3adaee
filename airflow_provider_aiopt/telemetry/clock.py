"""A stopwatch that gives every second of a stage to exactly one account."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

Phase = Literal["busy", "model_load", "wait_input", "wait_output"]
PHASES: tuple[Phase, ...] = get_args(Phase)


class StageClock:
    """Accounts for a stage's time; what no phase claims is ``busy``.

    Phases may be nested: the inner one's time is not the outer one's.  The sum of all phases is the wall time
    by construction.  One thread, the stage's driver, may use it.

    :param now: a monotonic clock in seconds
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._seconds: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)
        self._current: Phase = "busy"
        self._since = self._started = now()
        self._stopped: float | None = None

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Account the block's time to *name*."""
        outer = self._switch(name)
        try:
            yield
        finally:
            self._switch(outer)

    def stop(self) -> None:
        """End the account; stopping again changes nothing."""
        if self._stopped is None:
            self._switch(self._current)
            self._stopped = self._since

    def seconds(self, name: Phase) -> float:
        """Return the seconds accounted to *name* so far."""
        return self._seconds[name]

    @property
    def wall_s(self) -> float:
        """Seconds from the beginning until :meth:`stop`, or until now."""
        return (self._now() if self._stopped is None else self._stopped) - self._started

    def _switch(self, name: Phase) -> Phase:
        outer, moment = self._current, self._now()
        self._seconds[outer] += moment - self._since
        self._current, self._since = name, moment
        return outer
