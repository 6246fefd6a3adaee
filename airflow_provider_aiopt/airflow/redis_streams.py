"""Redis streams through Airflow's connections."""

from __future__ import annotations

from typing import Any

from airflow_provider_aiopt.exceptions import MissingExtraError

GROUP = "airflow"
"""Consumer group by default."""

CONNECTION = "redis_default"
"""Connection by default, that of Airflow's Redis provider."""


def connect(connection: str | None = None) -> Any:
    """Return a ``redis.Redis`` made of an Airflow connection.

    :param connection: its id
    :raises MissingExtraError: if Airflow's Redis provider is not installed
    """
    try:
        from airflow.providers.redis.hooks.redis import RedisHook
    except ImportError as error:
        raise MissingExtraError("airflow.providers.redis", "redis-messages", "A Redis stream") from error
    return RedisHook(redis_conn_id=connection or CONNECTION).get_conn()
