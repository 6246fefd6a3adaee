"""Opening the cache that a spec names."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_aiopt.data.cache.base import RowCache
from airflow_provider_aiopt.data.cache.guard import CacheTally, GuardedCache
from airflow_provider_aiopt.data.cache.local import LocalCache
from airflow_provider_aiopt.data.cache.packs import PackFolder
from airflow_provider_aiopt.data.cache.redis import RedisCache, connect_redis
from airflow_provider_aiopt.spec.cache import CacheSpec

FOLDER = "aiopt-rows"
"""The sub-folder that a cache keeps to: nothing else in the folder that a user names is ever touched."""


def open_cache(spec: CacheSpec, kind: str, tally: CacheTally) -> GuardedCache:
    """Open a cache; where that fails, it is off from the beginning.

    :param spec: where it is
    :param kind: digest of everything but the payload that the rows depend on
    :param tally: where hits, misses and errors are counted
    :raises MissingExtraError: if it is a Redis and ``redis`` is not installed
    """
    if spec.in_redis:
        client = connect_redis(spec.uri)
        return GuardedCache(lambda: RedisCache(client, kind, ttl_s=spec.ttl_s), tally, label=spec.uri)

    def open_folder() -> RowCache:
        root = Path(spec.uri).expanduser().absolute() / FOLDER
        return LocalCache(PackFolder(root, kind, spec.max_bytes))

    return GuardedCache(open_folder, tally, label=spec.uri)
