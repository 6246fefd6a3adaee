"""Messages of a real Redis: streams, whose entries wait, and channels, whose messages do not."""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any

import pytest
from components import requires
from redis_server import RedisServer

from airflow_provider_aiopt.airflow.acknowledging import acknowledge
from airflow_provider_aiopt.triggers.messages import message_trigger
from airflow_provider_aiopt.uploads.notifications import Received, uploads_of_event

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("_redis_connection")]
requires("airflow.providers.redis", "pip install 'airflow-provider-aiopt[redis-messages]'")
requires("airflow.providers.common.messaging", "pip install 'airflow-provider-aiopt[redis-messages]'")

PLAIN = {"uri": "s3://photos/a.jpg", "size": 7, "version": "1"}


@pytest.fixture
def client(redis_server: RedisServer) -> Any:
    import redis

    with redis.Redis(port=redis_server.port) as client:
        yield client


@pytest.fixture
def stream() -> str:
    return f"uploads-{uuid.uuid4().hex}"


def read(payload: Any) -> Received:
    return uploads_of_event(payload, received_at=1.0)


def test_entries_that_were_there_before_and_the_two_forms(client: Any, stream: str, next_payload: Any):
    client.xadd(stream, {"data": json.dumps(PLAIN)})
    client.xadd(stream, {name: str(value) for name, value in (PLAIN | {"version": "2"}).items()})
    client.xadd(stream, {"data": b"\xff"})
    received = read(next_payload(message_trigger("redis+streams", stream=stream)))
    assert [upload.version for upload in received.uploads] == ["1", "2"]
    (letter,) = received.dead_letters
    assert "no UTF-8" in letter.reason


def test_an_entry_comes_again_until_it_is_acknowledged(client: Any, stream: str, next_payload: Any):
    source = {"scheme": "redis+streams", "stream": stream, "reoffer_s": 0.0}
    client.xadd(stream, {"data": json.dumps(PLAIN)})
    first = next_payload(message_trigger(**source))
    again = next_payload(message_trigger(**source))
    assert again == first
    acknowledge(source, [again])
    client.xadd(stream, {"data": json.dumps(PLAIN | {"version": "2"})})
    (upload,) = read(next_payload(message_trigger(**source))).uploads
    assert upload.version == "2"


def test_entries_that_come_while_it_waits(client: Any, stream: str, next_payload: Any):
    later = threading.Timer(1.5, client.xadd, (stream, {"data": json.dumps(PLAIN)}))
    later.start()
    try:
        assert len(read(next_payload(message_trigger("redis+streams", stream=stream))).uploads) == 1
    finally:
        later.join()


def test_a_channel(client: Any, stream: str, next_payload: Any):
    stop = threading.Event()

    def publish() -> None:  # until somebody listens
        while not client.publish(stream, json.dumps(PLAIN)) and not stop.wait(0.1):
            pass

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        received = read(next_payload(message_trigger("redis+pubsub", channels=[stream])))
    finally:
        stop.set()
        publisher.join()
    assert [upload.uri for upload in received.uploads] == ["s3://photos/a.jpg"]
