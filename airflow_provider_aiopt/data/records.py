"""One record on its way through the pipeline, good or bad."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from airflow_provider_aiopt.exceptions import RecordError

_MESSAGE_LENGTH = 500


def printable(text: str) -> str:
    """Return *text* with what is no Unicode as escapes: bytes of a file name or row that are no UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # JSON's own escapes may form halves of a pair, too
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True, slots=True)
class Record:
    """A record as the source gave it.

    :param id: its name, unique within the source: the path below the root, or ``<file>#<row>``
    :param uri: where it came from, as fsspec would open it; a row adds ``#row=<n>``
    :param payload: its bytes: a file's content, a text in UTF-8, or a JSON array of the row's columns
    :param sha256: hex digest of the payload
    """

    id: str
    uri: str
    payload: bytes
    sha256: str

    @classmethod
    def from_payload(cls, record_id: str, uri: str, payload: bytes) -> Record:
        """Make a record, hashing its payload."""
        return cls(record_id, uri, payload, hashlib.sha256(payload).hexdigest())


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that goes to quarantine.

    :param id: the record's id
    :param uri: where it came from
    :param stage: the stage that found it bad
    :param error_class: name of the error's class, one of those under ``RecordError``
    :param message: what is wrong with it
    """

    id: str
    uri: str
    stage: str
    error_class: str
    message: str

    @classmethod
    def from_error(cls, record_id: str, uri: str, stage: str, error: RecordError) -> BadRecord:
        """Describe the record that *error* was raised for."""
        message = printable(str(error))
        if len(message) > _MESSAGE_LENGTH:
            message = f"{message[: _MESSAGE_LENGTH - 3]}..."
        return cls(id=record_id, uri=uri, stage=stage, error_class=type(error).__name__, message=message)
