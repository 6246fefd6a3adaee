"""Pub/Sub notifications of Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.exceptions import NotificationError
from airflow_provider_aiopt.uploads.notifications.fields import excerpt, find, size, text

_CREATED = "OBJECT_FINALIZE"
_OTHERS = ("OBJECT_DELETE", "OBJECT_ARCHIVE", "OBJECT_METADATA_UPDATE")


class GcsNotification:
    """Attributes that name the event and the object, and a body that describes the object or is empty.

    The attributes decide: the same description of an object is sent when the object is deleted.
    """

    def items(self, value: Any, attributes: Mapping[str, Any]) -> list[Any] | None:
        """Return the attributes with the body."""
        if "eventType" in attributes and "bucketId" in attributes:
            return [{"attributes": attributes, "object": value}]
        return None

    def upload(self, item: Any, seen_at: float) -> Upload | None:
        """Return the upload of an ``OBJECT_FINALIZE``."""
        attributes, described = item["attributes"], item["object"]
        event = text(attributes, "eventType")
        if event in _OTHERS:
            return None
        if event != _CREATED:
            raise NotificationError(
                f"eventType must be one of {', '.join((_CREATED, *_OTHERS))}; found {excerpt(event)}"
            )
        bucket, name = text(attributes, "bucketId"), text(attributes, "objectId")
        if name.endswith("/"):
            return None  # what consoles make to show an empty folder
        generation = text(attributes, "objectGeneration")
        # Where notifications are configured to carry no description, only opening the object tells its size.
        length = size(described, "size") if find(described, "size") is not None else 0
        return Upload(f"gs://{bucket}/{name}", length, generation, seen_at)
