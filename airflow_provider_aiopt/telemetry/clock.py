"""A stopwatch that gives every second of a stage to exactly one account."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

Phase = Literal["busy", "model_load", "wait_input", "wait_output"]
PHASES: tuple[Phase, ...] = get_args(Phase)


class StageClock:
    """Accounts for a stage's time; what no phase claims is ``busy``.

    Phases are those of one thread, the stage's driver, and may be nested: the inner one's time is not the
    outer one's.  Where other threads work for the stage (:meth:`working`), the share of the lanes that they
    fill is ``busy``, whatever the driver waits for meanwhile; only the rest is the driver's phase.  The sum
    of all phases is the wall time by construction.

    :param now: a monotonic clock in seconds
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.lanes = 1
        """How many blocks of :meth:`working` it takes to keep the stage fully busy; set before the first."""
        self._now = now
        self._seconds: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)
        self._current: Phase = "busy"
        self._working = 0
        self._since = self._started = now()
        self._stopped: float | None = None
        self._lock = threading.Lock()

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Account the block's time to *name*; for the driver only."""
        outer = self._switch(name)
        try:
            yield
        finally:
            self._switch(outer)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Fill one of the stage's lanes while the block runs, on whichever thread."""
        self._add(1)
        try:
            yield
        finally:
            self._add(-1)

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
        with self._lock:
            outer = self._current
            self._settle()
            self._current = name
        return outer

    def _add(self, change: int) -> None:
        with self._lock:
            self._settle()
            self._working += change

    def _settle(self) -> None:
        """Account for the time since the last change."""
        moment = self._now()
        elapsed = moment - self._since
        filled = elapsed * min(1.0, self._working / self.lanes)
        self._seconds["busy"] += filled
        self._seconds[self._current] += elapsed - filled
        self._since = moment
