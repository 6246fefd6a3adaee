"""Where prepared records are kept for the next run."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from airflow_provider_aiopt.spec.base import SpecModel

_DEFAULT_BYTES = 10 * 1024**3
_DEFAULT_TTL = 7 * 24 * 3600
_REDIS = ("redis", "rediss")


class CacheSpec(SpecModel):
    """What preprocessing makes of a record, kept by the record's content: the next run skips the decoding.

    The results are the same with and without it, and no trouble with it fails a run.

    :param uri: a folder on a local disk, which the tasks of one machine share, or
        ``redis://host:port/database`` (``rediss://`` for TLS), which those of several may.  User and password
        of a Redis are read from the environment, ``AIOPT_REDIS_USERNAME`` and ``AIOPT_REDIS_PASSWORD``
    :param max_bytes: size of the folder, far above that of a prepared batch; what was not used for longest
        goes first.  A Redis has a limit of its own, ``maxmemory``
    :param ttl_s: seconds after which a Redis forgets a record
    """

    uri: str
    max_bytes: int = Field(default=_DEFAULT_BYTES, ge=1)
    ttl_s: int = Field(default=_DEFAULT_TTL, ge=1)

    @property
    def in_redis(self) -> bool:
        """Whether the cache is a Redis; a folder otherwise."""
        return self.uri.partition("://")[0] in _REDIS

    @model_validator(mode="after")
    def _settings_fit_the_kind(self) -> Self:
        if not self.in_redis:
            if "://" in self.uri:
                raise ValueError(
                    "uri takes a folder on a local disk or redis://host:port/database; the scheme "
                    f"{self.uri.partition('://')[0]!r} is neither"
                )
            if self.ttl_s != _DEFAULT_TTL:
                raise ValueError("ttl_s belongs to a Redis; a folder is bounded by max_bytes")
            return self
        if self.max_bytes != _DEFAULT_BYTES:
            raise ValueError(
                "max_bytes belongs to a folder; bound a Redis with its own maxmemory and the "
                "maxmemory-policy allkeys-lru, or with ttl_s"
            )
        _check_redis(self.uri)
        return self


def _check_redis(uri: str) -> None:
    try:
        parts = urlsplit(uri)
        named, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"uri is no address of a Redis: {error}") from error
    if "@" in parts.netloc or "password" in parts.query:  # the spec is shown in logs and kept in files
        raise ValueError(
            "uri may not hold a user or password: give them in the environment, as AIOPT_REDIS_USERNAME and "
            "AIOPT_REDIS_PASSWORD"
        )
    database = parts.path.removeprefix("/")
    if not named or port == 0 or (database and not database.isdecimal()) or parts.query or parts.fragment:
        raise ValueError(f"uri must read redis://host:port/database with a number as database; found {uri!r}")
