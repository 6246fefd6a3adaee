from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_provider_aiopt.data.cache.base import Hits
from airflow_provider_aiopt.data.cache.guard import CacheTally, GuardedCache


class Broken:
    """Fails in the calls that are named."""

    def __init__(self, *failing: str, error: Exception | None = None) -> None:
        self.failing = failing
        self.error = error or OSError(28, "No space left on device")
        self.calls: list[str] = []

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.failing:
            raise self.error

    def get(self, keys: Sequence[bytes]) -> Hits:
        self._call("get")
        return Hits((0,), "row")

    def put(self, *_: Any) -> None:
        self._call("put")

    def close(self) -> None:
        self._call("close")


def guarded(broken: Broken) -> tuple[GuardedCache, CacheTally]:
    tally = CacheTally()
    return GuardedCache(lambda: broken, tally, label="/cache"), tally


def test_hits_and_misses_are_counted() -> None:
    cache, tally = guarded(Broken())
    cache.get([b"a", b"b", b"c"])

    assert tally == CacheTally(hits=1, misses=2)


@pytest.mark.parametrize("failing", ["get", "put"])
def test_after_its_first_error_it_is_off(failing: str, caplog: pytest.LogCaptureFixture) -> None:
    broken = Broken(failing)
    cache, tally = guarded(broken)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            getattr(cache, failing)([b"a"], *([None] if failing == "put" else []))
        hits = cache.get([b"a"])
        cache.close()

    assert hits == Hits()
    assert broken.calls == [failing]
    assert tally.errors == 1
    (record,) = caplog.records
    assert record.getMessage() == (
        "The cache /cache is off for the rest of this task: No space left on device (OSError). "
        "The results are the same"
    )


def test_one_that_cannot_be_opened_is_off_from_the_beginning(caplog: pytest.LogCaptureFixture) -> None:
    def refuse() -> Any:
        raise PermissionError(13, "Permission denied")

    tally = CacheTally()
    cache = GuardedCache(refuse, tally, label="/cache")
    cache.put([b"a"], None)
    cache.close()

    assert cache.get([b"a"]) == Hits()
    assert tally == CacheTally(hits=0, misses=1, errors=1)
    assert "Permission denied (PermissionError)" in caplog.text


def test_an_error_at_the_end_is_no_failure_either(caplog: pytest.LogCaptureFixture) -> None:
    cache, tally = guarded(Broken("close", error=ValueError("odd")))
    cache.close()
    cache.close()

    assert tally.errors == 1
    assert "odd (ValueError)" in caplog.text


def test_calls_that_were_under_way_when_it_failed_count_no_further_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    both = threading.Barrier(2, timeout=30)

    class Meeting(Broken):
        def get(self, keys: Sequence[bytes]) -> Hits:
            both.wait()
            return super().get(keys)

    cache, tally = guarded(Meeting("get"))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(cache.get, [[b"a"], [b"b"]]))

    assert tally == CacheTally(misses=2, errors=1)
    assert len(caplog.records) == 1
