"""Event notifications of Amazon S3 and of servers that speak its protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.exceptions import NotificationError
from airflow_provider_aiopt.uploads.notifications.fields import excerpt, find, size, text

_CREATED = "ObjectCreated:"


class S3Records:
    """``Records``, as sent to SQS and SNS."""

    def items(self, value: Any, attributes: Mapping[str, Any]) -> list[Any] | None:  # noqa: ARG002 - Format
        """Return the records."""
        records = find(value, "Records")
        if not isinstance(records, list) or not any(find(record, "s3") for record in records):
            return None
        return records

    def upload(self, item: Any, seen_at: float) -> Upload | None:
        """Return the upload of a record whose event is a creation."""
        # MinIO and Ceph write "s3:ObjectCreated:Put".
        if not text(item, "eventName").removeprefix("s3:").startswith(_CREATED):
            return None
        try:
            key = unquote_plus(text(item, "s3", "object", "key"), errors="strict")
        except UnicodeDecodeError as error:
            raise NotificationError(f"s3.object.key is no UTF-8: {error}") from error
        return _upload(text(item, "s3", "bucket", "name"), key, item["s3"]["object"], "eTag", seen_at)


class S3EventBridge:
    """Events of S3 as Amazon EventBridge hands them on; their keys are not URL-encoded."""

    def items(self, value: Any, attributes: Mapping[str, Any]) -> list[Any] | None:  # noqa: ARG002 - Format
        """Return the event."""
        return [value] if find(value, "source") == "aws.s3" and find(value, "detail-type") else None

    def upload(self, item: Any, seen_at: float) -> Upload | None:
        """Return the upload of an event ``Object Created``."""
        if text(item, "detail-type") != "Object Created":
            return None
        key = text(item, "detail", "object", "key")
        return _upload(text(item, "detail", "bucket", "name"), key, item["detail"]["object"], "etag", seen_at)


class S3TestEvent:
    """What S3 sends when notifications are configured."""

    def items(self, value: Any, attributes: Mapping[str, Any]) -> list[Any] | None:  # noqa: ARG002 - Format
        """Return nothing of it."""
        return [] if find(value, "Event") == "s3:TestEvent" else None

    def upload(self, item: Any, seen_at: float) -> Upload | None:  # noqa: ARG002 - Format
        """Return no upload: it has none."""
        return None


def _upload(bucket: str, key: str, item: Any, etag: str, seen_at: float) -> Upload | None:
    if key.endswith("/"):
        return None  # what consoles make to show an empty folder
    # The etag and not the version's id: it is what a listing of the bucket shows, too, so that an upload that
    # was both listed and notified is the same upload.
    version = text(item, etag).strip('"')
    if "\0" in key or not version:
        raise NotificationError(f"object must have a key without NUL and an etag; found {excerpt(item)}")
    return Upload(f"s3://{bucket}/{key}", size(item, "size"), version, seen_at)
