"""A cache in a real Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from components import requires
from pipelines import Site, account
from redis_server import RedisServer

from airflow_provider_aiopt.runner.results import results_folder
from airflow_provider_aiopt.runner.staged import run_pipeline
from airflow_provider_aiopt.runner.streaming import run_streaming
from airflow_provider_aiopt.stages.transforms import image
from airflow_provider_aiopt.telemetry.reports import StageReport

pytestmark = pytest.mark.integration
requires("redis", "pip install 'airflow-provider-aiopt[redis]'")

Start = Callable[..., RedisServer]
MODES = pytest.mark.parametrize("run", [run_pipeline, run_streaming])


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    servers = []

    def start_one(*options: str) -> RedisServer:
        servers.append(RedisServer(tmp_path, *options))
        return servers[-1]

    yield start_one
    for server in servers:
        server.stop()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.add_plain(20)
    site.add("bad.png", b"no image")
    return site


def run_once(site: Site, run: Any, run_id: str, **overrides: Any) -> tuple[Any, StageReport]:
    context = site.context(run_id, execution__batch_size=4, execution__workers=2, **overrides)
    reports = run(context)
    return account(context.workspace.root, results_folder(context)), reports[1]


@MODES
def test_a_second_run_decodes_only_what_was_bad(site: Site, start: Start, run: Any) -> None:
    server = start()
    plain, _ = run_once(site, run, "plain")
    cold, first = run_once(site, run, "cold", cache__uri=server.uri)
    warm, second = run_once(site, run, "warm", cache__uri=server.uri)

    assert plain == cold == warm
    assert (first.cache_hits, first.cache_misses, first.cache_errors) == (0, 21, 0)
    assert (second.cache_hits, second.cache_misses, second.cache_errors) == (20, 1, 0)


@MODES
def test_a_server_killed_in_the_middle(
    site: Site, start: Start, run: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server, decode, calls = start(), image.decode_image, []

    def kill_at_tenth(payload: bytes, spec: Any) -> Any:
        calls.append(payload)
        if len(calls) == 10:
            server.stop()
        return decode(payload, spec)

    plain, _ = run_once(site, run, "plain")
    monkeypatch.setattr(image, "decode_image", kill_at_tenth)
    outcome, report = run_once(site, run, "killed", cache__uri=server.uri)

    assert outcome == plain
    assert report.cache_misses == 21
    assert report.cache_errors == 1
    assert sum("is off for the rest of this task" in record.getMessage() for record in caplog.records) == 1


@MODES
def test_a_server_that_is_not_there(site: Site, start: Start, run: Any) -> None:
    server = start()
    server.stop()
    outcome, report = run_once(site, run, "run", cache__uri=server.uri)

    assert len(outcome.rows) == 20
    assert report.cache_errors == 1


def test_a_server_that_is_full(site: Site, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    server = start("--maxmemory", "1", "--maxmemory-policy", "noeviction")
    outcome, report = run_once(site, run_pipeline, "run", cache__uri=server.uri)

    assert len(outcome.rows) == 20
    assert report.cache_errors == 1
    assert "OutOfMemoryError" in caplog.text


def test_a_password_comes_from_the_environment(
    site: Site, start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = start("--requirepass", "opensesame")
    _, refused = run_once(site, run_pipeline, "refused", cache__uri=server.uri)
    monkeypatch.setenv("AIOPT_REDIS_PASSWORD", "opensesame")
    _, taken = run_once(site, run_pipeline, "taken", cache__uri=server.uri)

    assert refused.cache_errors == 1
    assert taken.cache_errors == 0
    assert "opensesame" not in caplog.text


def test_rows_expire(site: Site, start: Start) -> None:
    import redis

    server = start()
    run_once(site, run_pipeline, "run", cache__uri=server.uri, cache__ttl_s=500)

    with redis.Redis.from_url(server.uri) as client:
        keys = client.keys("*")
        assert len(keys) == 20
        assert all(0 < client.ttl(key) <= 500 for key in keys)
