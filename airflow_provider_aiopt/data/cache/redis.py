"""A cache in a Redis, which the tasks of several machines share."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.data.cache.base import Hits
from airflow_provider_aiopt.data.cache.codec import DamagedRowsError, decode_rows, encode_rows
from airflow_provider_aiopt.data.tensors import gather_rows
from airflow_provider_aiopt.exceptions import MissingExtraError

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

USERNAME_VARIABLE = "AIOPT_REDIS_USERNAME"
PASSWORD_VARIABLE = "AIOPT_REDIS_PASSWORD"  # noqa: S105 - where it is, not what
_CONNECT_S = 2.0
_ANSWER_S = 5.0  # preparing a batch again takes less than waiting longer


class RedisCache:
    """Rows under one key each, written and read by the batch.

    :param client: a :class:`redis.Redis`
    :param kind: what the keys begin with
    :param ttl_s: seconds after which the server forgets a row
    """

    def __init__(self, client: Any, kind: str, *, ttl_s: int) -> None:
        self._client = client
        self._prefix = f"aiopt:{kind}:".encode()
        self._ttl_s = ttl_s

    def get(self, keys: Sequence[bytes]) -> Hits:
        """Return the rows that the server has, asking once; see :meth:`RowCache.get`.

        :raises redis.RedisError: if it does not answer
        """
        values = self._client.mget([self._prefix + key for key in keys])
        rows = {
            position: row
            for position, value in enumerate(values)
            if value is not None and (row := _decoded(value)) is not None
        }
        if not rows:
            return Hits()
        places = [(number, 0) for number in range(len(rows))]
        return Hits(tuple(rows), gather_rows(list(rows.values()), places))

    def put(self, keys: Sequence[bytes], rows: pa.RecordBatch) -> None:
        """Keep rows, in one exchange with the server.

        :raises redis.RedisError: if it does not take them
        """
        with self._client.pipeline(transaction=False) as pipeline:
            for number, key in enumerate(keys):
                value = b"".join(encode_rows([key], rows.slice(number, 1)))
                pipeline.set(self._prefix + key, value, ex=self._ttl_s)
            pipeline.execute()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def connect_redis(uri: str) -> Any:
    """Return a client of the Redis at *uri*; it connects when it is first used.

    :param uri: ``redis://host:port/database``
    :raises MissingExtraError: if ``redis`` is not installed
    """
    try:
        import redis
    except ImportError as error:
        raise MissingExtraError("redis", "redis", "A cache in a Redis") from error
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return redis.Redis.from_url(
        uri,
        username=os.environ.get(USERNAME_VARIABLE),
        password=os.environ.get(PASSWORD_VARIABLE),
        socket_connect_timeout=_CONNECT_S,
        socket_timeout=_ANSWER_S,
        retry=Retry(NoBackoff(), 1),  # once, for a connection that the server had closed
    )


def _decoded(value: bytes) -> pa.RecordBatch | None:
    import pyarrow as pa

    try:
        return decode_rows(pa.py_buffer(value))
    except (DamagedRowsError, pa.ArrowInvalid) as error:
        log.warning("A cached row in the Redis is damaged: %s", error)
        return None
