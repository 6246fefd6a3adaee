"""This package's own notification: ``{"uri": ..., "size": ..., "version": ...}``, or a list of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.exceptions import NotificationError
from airflow_provider_aiopt.uploads.notifications.fields import excerpt, find, size, text


class PlainUploads:
    """What a producer of one's own sends."""

    def items(self, value: Any, attributes: Mapping[str, Any]) -> list[Any] | None:  # noqa: ARG002 - Format
        """Return the uploads."""
        uploads = value if isinstance(value, list) else [value]
        return uploads if any(find(upload, "uri") is not None for upload in uploads) else None

    def upload(self, item: Any, seen_at: float) -> Upload | None:
        """Return the upload; what else a producer adds is ignored."""
        if not isinstance(item, Mapping):
            raise NotificationError(f"An upload must be an object; found {excerpt(item)}")
        return Upload(text(item, "uri"), size(item, "size"), text(item, "version"), seen_at)
