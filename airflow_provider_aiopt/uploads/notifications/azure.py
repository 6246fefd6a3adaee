"""Event Grid events of Azure Blob Storage, in Event Grid's own schema and as CloudEvents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.exceptions import NotificationError
from airflow_provider_aiopt.uploads.notifications.fields import excerpt, find, size, text

_PREFIXES = ("Microsoft.Storage.", "Microsoft.EventGrid.")
_CREATED = "Microsoft.Storage.BlobCreated"
_SUBJECT = re.compile(r"/blobServices/default/containers/([^/]+)/blobs/(.+)", re.DOTALL)
_NOT_YET_WRITTEN = "CreateFile"  # with a hierarchical namespace a file appears empty and is flushed later


class EventGrid:
    """One event or a list of them."""

    def items(self, value: Any, attributes: Mapping[str, Any]) -> list[Any] | None:  # noqa: ARG002 - Format
        """Return the events."""
        events = value if isinstance(value, list) else [value]
        if any(_type_of(event).startswith(_PREFIXES) for event in events):
            return events
        return None

    def upload(self, item: Any, seen_at: float) -> Upload | None:
        """Return the upload of a ``BlobCreated``."""
        if not _type_of(item):
            raise NotificationError(f"An event must have an eventType or a type; found {excerpt(item)}")
        if _type_of(item) != _CREATED or find(item, "data", "api") == _NOT_YET_WRITTEN:
            return None
        subject = text(item, "subject")
        match = _SUBJECT.fullmatch(subject)
        if match is None:
            raise NotificationError(
                f"subject must be /blobServices/default/containers/NAME/blobs/NAME; found {excerpt(subject)}"
            )
        version = text(item, "data", "eTag").strip('"')
        if not version:
            raise NotificationError("data.eTag must not be empty")
        return Upload(f"abfs://{match[1]}/{match[2]}", size(item, "data", "contentLength"), version, seen_at)


def _type_of(event: Any) -> str:
    found = find(event, "eventType") or find(event, "type")
    return found if isinstance(found, str) else ""
