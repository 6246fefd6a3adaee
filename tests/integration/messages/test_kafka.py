"""Messages of a real Kafka broker."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from components import requires
from message_servers import KafkaBroker, connection

from airflow_provider_aiopt.triggers.messages import message_trigger
from airflow_provider_aiopt.uploads.notifications import uploads_of_event

pytestmark = pytest.mark.integration
requires("airflow.providers.apache.kafka", "pip install 'airflow-provider-aiopt[kafka]'")
requires("airflow.providers.common.messaging", "pip install 'airflow-provider-aiopt[kafka]'")

PLAIN = {"uri": "s3://photos/a.jpg", "size": 7, "version": "1"}


@pytest.fixture
def topic(kafka: KafkaBroker, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"uploads-{uuid.uuid4().hex}"
    settings = {
        "bootstrap.servers": f"127.0.0.1:{kafka.port}",
        "group.id": name,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    monkeypatch.setenv("AIRFLOW_CONN_KAFKA_DEFAULT", connection("kafka", extra=settings))
    return name


def send(kafka: KafkaBroker, topic: str, *contents: bytes | None) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": f"127.0.0.1:{kafka.port}"})
    for content in contents:
        producer.produce(topic, content)
    assert producer.flush(60) == 0


def test_good_and_bad_messages_come_once_and_none_comes_for_ever(
    kafka: KafkaBroker, topic: str, next_payload: Any
):
    contents = [
        json.dumps([PLAIN, PLAIN | {"version": "2"}]).encode(),
        b"\xff\xfe",
        None,
        json.dumps(PLAIN).encode(),
    ]
    send(kafka, topic, *contents)
    # Each time the trigger ends with the message that it found, and the triggerer starts it again.
    found = [
        uploads_of_event(next_payload(message_trigger("kafka", topics=[topic])), received_at=1.0)
        for _ in contents
    ]
    assert [[upload.version for upload in received.uploads] for received in found] == [
        ["1", "2"],
        [],
        [],
        ["1"],
    ]
    reasons = [letter.reason for received in found for letter in received.dead_letters]
    assert ["no UTF-8" in reasons[0], "tombstone" in reasons[1]] == [True, True]
    assert found[1].dead_letters[0].origin == f"Kafka message 1 of partition 0 of {topic}"
