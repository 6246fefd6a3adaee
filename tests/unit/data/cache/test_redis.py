from __future__ import annotations

import sys
from typing import Any, Self

import pyarrow as pa
import pytest

from airflow_provider_aiopt.data.cache.guard import CacheTally
from airflow_provider_aiopt.data.cache.opening import open_cache
from airflow_provider_aiopt.data.cache.redis import RedisCache
from airflow_provider_aiopt.exceptions import MissingExtraError
from airflow_provider_aiopt.spec import CacheSpec


class FakeRedis:
    """The part of a client that the cache uses."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.expiry: set[int] = set()
        self.exchanges = 0

    def mget(self, keys: list[bytes]) -> list[bytes | None]:
        self.exchanges += 1
        return [self.values.get(key) for key in keys]

    def pipeline(self, *, transaction: bool) -> Self:
        assert not transaction
        return self

    def set(self, key: bytes, value: bytes, *, ex: int) -> None:
        self.values[key] = value
        self.expiry.add(ex)

    def execute(self) -> None:
        self.exchanges += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def close(self) -> None: ...


def test_rows_go_and_come_by_the_batch(rows: Any) -> None:
    server = FakeRedis()
    cache = RedisCache(server, "kind", ttl_s=7)
    rows.put(cache, 1, 2, 3)

    assert server.exchanges == 1
    assert server.expiry == {7}
    assert rows.get(cache, 9, 3, 1, 1) == {1, 3}
    assert server.exchanges == 2
    assert rows.get(RedisCache(server, "other", ttl_s=7), 1) == set()


def test_damaged_values_are_misses(rows: Any, caplog: pytest.LogCaptureFixture) -> None:
    server = FakeRedis()
    cache = RedisCache(server, "kind", ttl_s=7)
    rows.put(cache, 1, 2, 3)
    first, second, _ = server.values
    server.values[first] = b"junk"
    server.values[second] = server.values[second][:-8]

    assert rows.get(cache, 1, 2, 3) == {3}
    assert "damaged" in caplog.text


def test_without_the_module_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingExtraError, match=r"airflow-provider-aiopt\[redis\]"):
        open_cache(CacheSpec(uri="redis://localhost:1/0"), "kind", CacheTally())


def test_opening_does_not_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOPT_REDIS_USERNAME", "me")
    monkeypatch.setenv("AIOPT_REDIS_PASSWORD", "secret")
    tally = CacheTally()
    cache = open_cache(CacheSpec(uri="redis://localhost:1/0"), "kind", tally)
    cache.close()

    assert tally == CacheTally()


def test_a_schema_is_kept(rows: Any) -> None:
    cache = RedisCache(FakeRedis(), "kind", ttl_s=7)
    rows.put(cache, 1)

    assert isinstance(cache.get(rows.keys([1])).rows.column(0), pa.FixedShapeTensorArray)
