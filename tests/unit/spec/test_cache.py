from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.spec import CacheSpec, load_spec

MINIMAL = {"source": {"uri": "photos"}, "model": {"uri": "builtin:any"}}


def test_there_is_none_unless_one_is_asked_for() -> None:
    assert load_spec(MINIMAL).cache is None
    assert "cache" not in load_spec(MINIMAL).to_dict()


def test_a_folder_and_its_size() -> None:
    cache = load_spec(MINIMAL, overrides={"cache.uri": "/cache", "cache.max_bytes": 5}).cache

    assert cache == CacheSpec(uri="/cache", max_bytes=5)
    assert not cache.in_redis


@pytest.mark.parametrize("uri", ["redis://host", "redis://host:6379/0", "rediss://[::1]:6380/3"])
def test_a_redis(uri: str) -> None:
    assert CacheSpec(uri=uri, ttl_s=60).in_redis


def test_a_relative_folder_lies_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    for given, meant in (("cache", f"{tmp_path}/cache"), ("redis://host/1", "redis://host/1")):
        path.write_text(f"source: {{uri: x}}\nmodel: {{uri: m}}\ncache: {{uri: '{given}'}}\n")
        cache = load_spec(path).cache
        assert cache is not None
        assert cache.uri == meant


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({}, "cache.uri: missing"),
        ({"uri": ""}, "cache.uri: found ''"),
        ({"uri": "/c", "max_bytes": 0}, "cache.max_bytes: found 0"),
        ({"uri": "/c", "max_byte": 1}, "cache.max_byte: unknown key; did you mean 'max_bytes'?"),
        (
            {"uri": "s3://bucket/cache"},
            "cache: uri takes a folder on a local disk or redis://.* 's3' is neither",
        ),
        ({"uri": "/c", "ttl_s": 5}, "cache: ttl_s belongs to a Redis"),
        ({"uri": "redis://host", "max_bytes": 5}, "cache: max_bytes belongs to a folder; .* maxmemory"),
        ({"uri": "redis://host/first"}, "cache: uri must read redis://host:port/database"),
        ({"uri": "redis:///0"}, "cache: uri must read redis://host:port/database"),
        ({"uri": "redis://host:x/0"}, "cache: uri is no address of a Redis: Port could not be cast"),
    ],
)
def test_faults_are_named(section: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        load_spec(MINIMAL | {"cache": section})


@pytest.mark.parametrize(
    "uri", ["redis://:secret@host/0", "redis://me:secret@host", "redis://h?password=secret"]
)
def test_a_password_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(SpecError, match="AIOPT_REDIS_PASSWORD") as caught:
        load_spec(MINIMAL | {"cache": {"uri": uri}})

    assert "secret" not in str(caught.value)
