"""The messages in what a queue's trigger hands on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_aiopt.exceptions import NotificationError
from airflow_provider_aiopt.uploads.notifications.fields import excerpt


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a queue.

    :param body: its content; a text unless something is wrong with it
    :param origin: which message of which queue it is, for people
    :param attributes: what the queue carries beside the content
    :param is_base64: whether the content is base64 of what was sent
    :param fault: what was found wrong with it before it came here
    """

    body: Any
    origin: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    is_base64: bool = False
    fault: str | None = None


def messages_of(payload: Any) -> list[Message]:
    """Return the messages of a trigger's payload: of SQS, Pub/Sub, Kafka or Redis.

    :param payload: ``extra["payload"]`` of an asset's event
    :raises NotificationError: if no trigger of a queue makes such a payload
    """
    if isinstance(payload, str):  # Kafka's trigger without a function of ours
        return [Message(payload, "a message without a name")]
    if isinstance(payload, Mapping):
        for reader in (_sqs, _pubsub, _kafka, _redis_stream, _redis_channel):
            messages = reader(payload)
            if messages is not None:
                return messages
    raise NotificationError(
        f"No known queue's trigger makes such a payload: {excerpt(payload)}. Give the asset a watcher made "
        "by message_trigger"
    )


def _sqs(payload: Mapping[str, Any]) -> list[Message] | None:
    return _each(payload.get("message_batch"), _sqs_message)


def _sqs_message(message: Mapping[str, Any]) -> Message:
    return Message(message.get("Body"), f"SQS message {message.get('MessageId')}")


def _pubsub(payload: Mapping[str, Any]) -> list[Message] | None:
    return _each(payload.get("message"), lambda received: pubsub_message(received.get("message")))


def pubsub_message(message: Any) -> Message:
    """Return a message in Pub/Sub's own JSON form."""
    if not isinstance(message, Mapping):
        return _no_message(message)
    attributes = message.get("attributes")
    return Message(
        message.get("data"),
        f"Pub/Sub message {message.get('message_id') or message.get('messageId')}",
        attributes if isinstance(attributes, Mapping) else {},
        is_base64=True,
    )


def _kafka(payload: Mapping[str, Any]) -> list[Message] | None:
    if not {"topic", "partition", "offset", "value"} <= payload.keys():
        return None
    origin = f"Kafka message {payload['offset']} of partition {payload['partition']} of {payload['topic']}"
    fault = payload.get("fault")
    return [Message(payload["value"], origin, fault=None if fault is None else str(fault))]


def _redis_channel(payload: Mapping[str, Any]) -> list[Message] | None:
    if "channel" not in payload or "data" not in payload:
        return None
    return [Message(payload["data"], f"a message of the Redis channel {payload['channel']}")]


def _redis_stream(payload: Mapping[str, Any]) -> list[Message] | None:
    if "stream" not in payload:
        return None

    def read(entry: Mapping[str, Any]) -> Message:
        origin = f"entry {entry.get('id')} of the Redis stream {payload['stream']}"
        fault = entry.get("fault")
        return Message(_stream_body(entry.get("fields")), origin, fault=None if fault is None else str(fault))

    return _each(payload.get("entries"), read)


def _stream_body(fields: Any) -> Any:
    """Return the field ``data``, or else all fields as one object, its size a number."""
    if not isinstance(fields, Mapping) or "data" in fields:
        return fields.get("data") if isinstance(fields, Mapping) else fields
    return json.dumps(dict(fields))


def _each(messages: Any, read: Callable[[Mapping[str, Any]], Message]) -> list[Message] | None:
    if not isinstance(messages, list):
        return None
    return [read(each) if isinstance(each, Mapping) else _no_message(each) for each in messages]


def _no_message(value: Any) -> Message:
    return Message(None, "a message without a name", fault=f"it is no message: {excerpt(value)}")
