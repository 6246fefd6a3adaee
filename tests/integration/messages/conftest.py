"""The servers, one of each for all tests, and a trigger run as the triggerer runs it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from redis_server import RedisServer

sys.path.insert(0, str(Path(__file__).parent))

from message_servers import KafkaBroker, connection  # found through the line above

NextPayload = Callable[..., Any]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    server = KafkaBroker(tmp_path_factory.mktemp("kafka"))
    yield server
    server.stop()


@pytest.fixture
def next_payload() -> NextPayload:
    """``next_payload(trigger)``: the payload of a trigger's first event, as a run's tasks get it."""
    return lambda trigger, timeout=60.0: asyncio.run(asyncio.wait_for(_first(trigger), timeout))


async def _first(trigger: Any) -> Any:
    path, arguments = trigger.serialize()
    module, _, name = path.rpartition(".")
    # The scheduler stores the arguments as JSON, and the triggerer makes the trigger anew.
    running = getattr(import_module(module), name)(**json.loads(json.dumps(arguments)))
    events = running.run()
    try:
        event = await anext(events)
        return json.loads(json.dumps(event.payload))
    finally:
        await events.aclose()
        await running.cleanup()


@pytest.fixture
def _redis_connection(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    value = connection("redis", host="127.0.0.1", port=redis_server.port)
    monkeypatch.setenv("AIRFLOW_CONN_REDIS_DEFAULT", value)
