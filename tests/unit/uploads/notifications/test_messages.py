import json
from typing import Any

import pytest

from airflow_provider_aiopt.exceptions import NotificationError
from airflow_provider_aiopt.uploads.notifications import messages_of

BODY = '{"uri": "s3://photos/a.jpg", "size": 7, "version": "1"}'


def test_sqs():
    batch = [{"MessageId": "1", "ReceiptHandle": "r", "MD5OfBody": "m", "Body": BODY}]
    (message,) = messages_of({"status": "success", "message_batch": batch})
    assert (message.body, message.origin) == (BODY, "SQS message 1")


def test_pubsub():
    inner = {"data": "e30=", "attributes": {"eventType": "X"}, "message_id": "1", "ordering_key": ""}
    (message,) = messages_of({"status": "success", "message": [{"ack_id": "a", "message": inner}]})
    assert (message.body, message.is_base64, message.attributes) == ("e30=", True, {"eventType": "X"})
    assert message.origin == "Pub/Sub message 1"


def test_kafka_with_our_function_and_without():
    payload = {"topic": "t", "partition": 0, "offset": 7, "value": BODY}
    (message,) = messages_of(payload)
    assert (message.body, message.fault) == (BODY, None)
    assert message.origin == "Kafka message 7 of partition 0 of t"
    assert messages_of(payload | {"fault": "broken"})[0].fault == "broken"
    assert messages_of(BODY)[0].body == BODY


def test_a_redis_channel():
    (message,) = messages_of({"type": "message", "pattern": None, "channel": "c", "data": BODY})
    assert message.body == BODY


@pytest.mark.parametrize(
    "fields", [{"data": BODY}, {"uri": "s3://photos/a.jpg", "size": "7", "version": "1"}]
)
def test_a_redis_stream(fields: dict[str, str]):
    (message,) = messages_of({"stream": "s", "entries": [{"id": "1-0", "fields": fields}]})
    assert int(json.loads(message.body)["size"]) == 7
    assert message.origin == "entry 1-0 of the Redis stream s"


@pytest.mark.parametrize("payload", [None, True, 1, [], {}, {"watch_id": "w"}, {"message_batch": "x"}])
def test_foreign_payloads(payload: Any):
    with pytest.raises(NotificationError, match="No known queue's trigger"):
        messages_of(payload)


@pytest.mark.parametrize(
    "payload",
    [
        {"message_batch": ["x"]},
        {"message": [1]},
        {"message": [{"message": "x"}]},
        {"stream": "s", "entries": [None]},
    ],
)
def test_foreign_messages_among_others(payload: dict[str, Any]):
    assert "it is no message" in str(messages_of(payload)[0].fault)
