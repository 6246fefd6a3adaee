"""A cache that never fails the work."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_aiopt.data.cache.base import Hits, RowCache
from airflow_provider_aiopt.data.folder import reason_of

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass
class CacheTally:
    """What a cache was good for in one task.

    :param hits: records that it knew
    :param misses: records that it was asked for and did not know, those after it was turned off included
    :param errors: how often it failed: once at most, since it is turned off then
    """

    hits: int = 0
    misses: int = 0
    errors: int = 0


class GuardedCache:
    """Counts what a cache does, and at its first error goes on without it: one warning, no failure.

    :param open_cache: makes the cache, now
    :param tally: where it is counted
    :param label: the cache's place, for the warning
    """

    def __init__(self, open_cache: Callable[[], RowCache], tally: CacheTally, *, label: str) -> None:
        self._tally = tally
        self._label = label
        self._lock = threading.Lock()
        self._failed = False
        self._cache: RowCache | None = None
        self._cache = self._attempt(open_cache, None)

    def get(self, keys: Sequence[bytes]) -> Hits:
        """Return the rows that are known, none where the cache is off."""
        cache = self._cache
        hits = self._attempt(lambda: cache.get(keys), Hits()) if cache else Hits()
        with self._lock:
            self._tally.hits += len(hits.positions)
            self._tally.misses += len(keys) - len(hits.positions)
        return hits

    def put(self, keys: Sequence[bytes], rows: pa.RecordBatch) -> None:
        """Keep rows, unless the cache is off."""
        if cache := self._cache:
            self._attempt(lambda: cache.put(keys, rows), None)

    def close(self) -> None:
        """Write what is held back and release everything."""
        if cache := self._cache:
            self._attempt(cache.close, None)
        self._cache = None

    def _attempt(self, action: Callable[[], T], otherwise: T) -> T:
        try:
            return action()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a cache, the records are not
            self._turn_off(error)
            return otherwise

    def _turn_off(self, error: Exception) -> None:
        with self._lock:
            if self._failed:  # other threads' calls that were under way fail as well: no news
                return
            self._failed, self._cache = True, None
            self._tally.errors += 1
        log.warning(
            "The cache %s is off for the rest of this task: %s (%s). The results are the same",
            self._label,
            reason_of(error),
            type(error).__name__,
        )
