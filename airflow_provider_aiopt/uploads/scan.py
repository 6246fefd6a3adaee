"""One listing of a location, taken page by page so that other work goes on between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from airflow_provider_aiopt.data.folder import storage_errors
from airflow_provider_aiopt.uploads.settling import Sighting

_MOST_INTERVAL_S = 600.0


class Scan:
    """A listing under way.

    :param pages: what is there, some objects at a time
    :param uri: of what, for messages
    :param began: when, by the monotonic clock
    :param cpu: a clock of the CPU time that listing takes, in seconds
    """

    def __init__(
        self, pages: Iterator[list[Sighting]], uri: str, *, began: float, cpu: Callable[[], float]
    ) -> None:
        self.began = began
        self.cost_s = 0.0
        self._pages = pages
        self._uri = uri
        self._cpu = cpu

    def next_page(self) -> list[Sighting] | None:
        """Return the next objects, None at the end.

        :raises StorageError: if they cannot be listed
        """
        began, wall = self._cpu(), time.perf_counter()
        try:
            with storage_errors("list", self._uri, faults=Exception):
                return next(self._pages, None)
        finally:
            # Where the clock is the whole process's: no listing takes more than the time that passes.
            self.cost_s += min(self._cpu() - began, time.perf_counter() - wall)


def interval_after(cost_s: float, *, least_s: float, share: float) -> float:
    """Return how long to wait before the next listing, in seconds.

    :param cost_s: CPU seconds that the last one took
    :param least_s: shortest interval
    :param share: share of one core that listings may take, unless it meant to wait longer than ten minutes
    """
    return max(least_s, min(cost_s / share, _MOST_INTERVAL_S))
