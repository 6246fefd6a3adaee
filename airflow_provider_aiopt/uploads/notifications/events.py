"""From the payload of an asset's event to uploads and dead letters."""

from __future__ import annotations

from typing import Any, NamedTuple

from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.exceptions import NotificationError
from airflow_provider_aiopt.uploads.notifications.dead_letters import DeadLetter
from airflow_provider_aiopt.uploads.notifications.messages import messages_of
from airflow_provider_aiopt.uploads.notifications.reading import read_message
from airflow_provider_aiopt.uploads.notifications.selecting import Selection


class Received(NamedTuple):
    """What became of a payload.

    :param uploads: the uploads, each once
    :param dead_letters: the messages that could not be read, or told of what is not watched
    """

    uploads: list[Upload]
    dead_letters: list[DeadLetter]


def uploads_of_event(payload: Any, *, received_at: float, selection: Selection | None = None) -> Received:
    """Return the uploads that a payload tells of; it never fails, whatever was sent.

    :param payload: ``extra["payload"]`` of an asset's event
    :param received_at: the time, in seconds since the epoch
    :param selection: which uploads to take; None: all
    """
    try:
        messages = messages_of(payload)
    except NotificationError as error:
        return Received([], [DeadLetter.of(str(error), "an asset's event", payload, received_at)])
    uploads: dict[str, Upload] = {}
    letters: list[DeadLetter] = []
    for message in messages:
        try:
            found, faults = read_message(message, seen_at=received_at)
        except NotificationError as error:
            found, faults = [], [str(error)]
        for upload in found:
            try:
                selected = upload if selection is None else selection.select(upload)
            except NotificationError as error:
                faults.append(str(error))
            else:
                if selected is not None:
                    uploads.setdefault(selected.key, selected)
        letters += (DeadLetter.of(fault, message.origin, message.body, received_at) for fault in faults)
    return Received(list(uploads.values()), letters)
