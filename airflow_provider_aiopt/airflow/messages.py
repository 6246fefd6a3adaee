"""Uploads that a queue's messages tell of, within Airflow's tasks and triggers."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.airflow.filesystems import resolve_with_connection

if TYPE_CHECKING:
    from airflow_provider_aiopt.data.uploads import Upload
    from airflow_provider_aiopt.spec.uploads import UploadWatchSpec
    from airflow_provider_aiopt.uploads.state import UploadState

log = logging.getLogger(__name__)

_SHOWN = 4096  # of a message that is too long


def message_payloads(context: Mapping[str, Any]) -> list[Any]:
    """Return the payloads of queues' triggers that a run was started for.

    Those that carry a watch's id are a ``NewUploadTrigger``'s, and events without a trigger come from tasks
    or people: both are left out.

    :param context: the context of one of the run's tasks
    """
    return list(_payloads(context.get("triggering_asset_events") or {}))


def _payloads(events: Mapping[Any, Any]) -> Iterator[Any]:
    for asset in events:
        for event in events[asset]:
            extra = event.extra or {}
            payload = extra.get("payload")
            if extra.get("from_trigger") and not (isinstance(payload, Mapping) and "watch_id" in payload):
                yield payload


def uploads_of_messages(
    payloads: Sequence[Any], spec: UploadWatchSpec, state: UploadState, *, clock: Any = time.time
) -> list[Upload]:
    """Return the uploads of a watch that messages tell of, and keep what cannot be read as dead letters.

    :param payloads: what :func:`message_payloads` returned
    :param spec: the watch; what lies elsewhere is a dead letter
    :param state: its state, in whose folder ``dead_letters`` those are kept
    :param clock: seconds since the epoch
    :raises StorageError: if dead letters cannot be kept, or the location's driver is missing
    """
    from airflow_provider_aiopt.uploads.notifications import DeadLetters, Selection, uploads_of_event

    selection = Selection.of(spec, resolve_with_connection)
    uploads: dict[str, Upload] = {}
    letters = []
    for payload in payloads:
        received = uploads_of_event(payload, received_at=clock(), selection=selection)
        uploads |= {upload.key: upload for upload in received.uploads}
        letters += received.dead_letters
    kept = DeadLetters(state.folder).keep(letters)
    for letter in letters:
        log.warning("%s is a dead letter: %s", letter.origin, letter.reason)
    if kept:
        log.warning("%d dead letters are kept in %s", len(letters), kept)
    return list(uploads.values())


def kafka_message(message: Any) -> dict[str, Any]:
    """Return a Kafka message as plain JSON values, whatever it holds.

    Kafka's trigger calls it before it commits the message.  An error here, or in the decoding that the
    trigger does by itself, would have the same message come again for ever.

    :param message: a ``confluent_kafka.Message``
    """
    from airflow_provider_aiopt.uploads.notifications import MAX_MESSAGE_BYTES

    content = message.value()
    values = {"topic": message.topic(), "partition": message.partition(), "offset": message.offset()}
    if content is None:
        return values | {"value": None, "fault": "It is a tombstone: it has no content"}
    return values | text_or_fault(content, MAX_MESSAGE_BYTES, key="value")


def text_or_fault(content: bytes, limit: int, *, key: str) -> dict[str, str]:
    """Return the text of a message under *key*, or its beginning and under ``fault`` what is wrong with it.

    :param content: the message
    :param limit: most bytes that it may have
    """
    if len(content) > limit:
        shown = content[:_SHOWN].decode("utf-8", "backslashreplace")
        return {key: shown, "fault": f"It has {len(content)} bytes; at most {limit} are read"}
    try:
        return {key: content.decode("utf-8")}
    except UnicodeDecodeError as error:
        shown = content[:_SHOWN].decode("utf-8", "backslashreplace")
        return {key: shown, "fault": f"It is no UTF-8: {error.reason} at byte {error.start}"}
