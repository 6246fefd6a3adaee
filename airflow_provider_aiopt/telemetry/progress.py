"""How far a run is, told to whoever shows it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """Is told how many records a stage has to do and has done; any thread may call it."""

    def expect(self, stage: str, records: int) -> None:
        """Note how many *records* the stage has to do in all, again where that changes."""
        ...

    def advance(self, stage: str, records: int) -> None:
        """Note that the stage has done *records* more."""
        ...


class NullProgress:
    """Shows nothing."""

    def expect(self, stage: str, records: int) -> None:
        """Do nothing."""

    def advance(self, stage: str, records: int) -> None:
        """Do nothing."""


class LineProgress:
    """Says how far the stages are in one line, from time to time.

    :param say: writes a line
    :param every_s: seconds between two lines, at least
    :param now: a monotonic clock in seconds
    """

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        every_s: float = 10.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._every_s = every_s
        self._now = now
        self._totals: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._last_done: dict[str, int] = {}
        self._last = now()
        self._lock = threading.Lock()

    def expect(self, stage: str, records: int) -> None:
        """Note how many records the stage has to do."""
        with self._lock:
            self._totals[stage] = records

    def advance(self, stage: str, records: int) -> None:
        """Note what the stage has done, and say it if the last line is long enough ago."""
        with self._lock:
            self._done[stage] = self._done.get(stage, 0) + records
            moment = self._now()
            elapsed = moment - self._last
            if elapsed < self._every_s:
                return
            line = ", ".join(self._stage(stage, elapsed) for stage in self._done)
            self._last, self._last_done = moment, dict(self._done)
        self._say(line)

    def _stage(self, stage: str, elapsed: float) -> str:
        done = self._done[stage]
        rate = (done - self._last_done.get(stage, 0)) / elapsed
        total = f" of {self._totals[stage]:,}" if stage in self._totals else ""
        return f"{stage} {done:,}{total} records ({rate:,.1f}/s)"
