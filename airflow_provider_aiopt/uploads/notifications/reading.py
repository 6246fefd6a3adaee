"""From a message to the uploads that it tells of."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.exceptions import NotificationError
from airflow_provider_aiopt.uploads.notifications.azure import EventGrid
from airflow_provider_aiopt.uploads.notifications.fields import Format, excerpt, find
from airflow_provider_aiopt.uploads.notifications.gcs import GcsNotification
from airflow_provider_aiopt.uploads.notifications.messages import Message, pubsub_message
from airflow_provider_aiopt.uploads.notifications.plain import PlainUploads
from airflow_provider_aiopt.uploads.notifications.s3 import S3EventBridge, S3Records, S3TestEvent

MAX_MESSAGE_BYTES = 1024 * 1024
"""Longest message that is read: as much as SQS, Event Grid and a Kafka at its defaults carry."""

_ENVELOPES = 3
_FORMATS: tuple[Format, ...] = (
    S3Records(),
    S3EventBridge(),
    S3TestEvent(),
    GcsNotification(),
    EventGrid(),
    PlainUploads(),
)


class Reading(NamedTuple):
    """What became of a message.

    :param uploads: what it tells of
    :param faults: what is wrong with those parts of it that could not be read
    """

    uploads: list[Upload]
    faults: list[str]


def read_message(message: Message, *, seen_at: float) -> Reading:
    """Return the uploads that a message tells of, in whichever known format.

    :param message: the message
    :param seen_at: when it was received, in seconds since the epoch
    :raises NotificationError: if it is no notification, or one of an unknown format
    """
    value, attributes = _open(message)
    for known in _FORMATS:
        items = known.items(value, attributes)
        if items is not None:
            return _read(known, items, seen_at)
    raise NotificationError(
        f"It is no notification of a known format (S3, Google Cloud Storage, Azure Event Grid, or an object "
        f"with uri, size and version): {excerpt(value)}"
    )


def _read(known: Format, items: list[Any], seen_at: float) -> Reading:
    reading = Reading([], [])
    for item in items:
        try:
            upload = known.upload(item, seen_at)
        except NotificationError as error:
            reading.faults.append(str(error))
        else:
            if upload is not None:
                reading.uploads.append(upload)
    return reading


def _open(message: Message) -> tuple[Any, Mapping[str, Any]]:
    """Return the notification within a message's envelopes, and its attributes."""
    for _ in range(_ENVELOPES):
        value = _value(message)
        inner = _inner(value)
        if inner is None:
            return value, message.attributes
        message = inner
    raise NotificationError(f"It lies in {_ENVELOPES} envelopes or more")


def _inner(value: Any) -> Message | None:
    """Return the message within an envelope of SNS, or of Pub/Sub's push delivery; None if there is none."""
    if find(value, "TopicArn") and find(value, "Type"):
        if value["Type"] != "Notification":
            raise NotificationError(
                f"It is a message of SNS itself, {excerpt(value['Type'])}, and no notification"
            )
        return Message(value.get("Message"), "")
    if isinstance(find(value, "message", "attributes"), Mapping) and find(value, "subscription"):
        return pubsub_message(value["message"])
    return None


def _value(message: Message) -> Any:
    if message.fault is not None:
        raise NotificationError(message.fault)
    body = message.body
    if not isinstance(body, str):
        raise NotificationError(f"It has no text: found {excerpt(body)}")
    if len(body) > MAX_MESSAGE_BYTES or len(body.encode("utf-8", "surrogatepass")) > MAX_MESSAGE_BYTES:
        raise NotificationError(f"It is longer than {MAX_MESSAGE_BYTES} bytes")
    if message.is_base64:
        body = _decoded(body)
        if not body and message.attributes:
            return None  # of Google Cloud Storage, where payloads are turned off
    return _json(body)


def _decoded(body: str) -> str:
    try:
        return base64.b64decode(body, validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise NotificationError(f"It is no base64 of UTF-8: {error}") from error


def _json(body: str) -> Any:
    try:
        return json.loads(body, parse_constant=_no_number)
    except RecursionError:
        raise NotificationError("It is JSON nested too deeply") from None
    except ValueError as error:
        raise NotificationError(f"It is no JSON: {error}") from error


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
