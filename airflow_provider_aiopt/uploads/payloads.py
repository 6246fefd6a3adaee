"""What an event or a run's configuration carries of uploads: a bounded piece of JSON."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_aiopt.data.uploads import Upload, from_jsonl, to_jsonl
from airflow_provider_aiopt.exceptions import UploadRecordError
from airflow_provider_aiopt.spec.uploads import UploadWatchSpec
from airflow_provider_aiopt.uploads.state import UploadState

INLINE_BYTES = 16 * 1024
"""Uploads that take more bytes than this as JSON are kept as a file of the watch's state."""

CONF_KEY = "aiopt_uploads"
"""Key of a run's configuration under which the direct route names the run's uploads."""

_FOLDER = "offers"
_NAME = re.compile(r"[0-9a-f]{32}\.jsonl")


def make_payload(spec: UploadWatchSpec, uploads: Sequence[Upload], state: UploadState) -> dict[str, Any]:
    """Return plain JSON values that :func:`read_payload` makes *uploads* of.

    :param spec: the watch that saw them
    :param state: where to keep a list that is too long to be carried
    :raises StorageError: if it cannot be kept
    """
    payload: dict[str, Any] = {"watch_id": spec.watch_id, "uri": spec.location, "count": len(uploads)}
    inline = [upload.to_dict() for upload in uploads]
    if len(json.dumps(inline)) <= INLINE_BYTES:
        return payload | {"uploads": inline}
    keys = "".join(sorted(upload.key for upload in uploads)).encode("ascii")
    # Named by its content: the same list offered again is the same file.
    name = f"{hashlib.blake2b(keys, digest_size=16).hexdigest()}.jsonl"
    state.folder.child(_FOLDER).write(name, to_jsonl(uploads))
    return payload | {"list": name}


def read_payload(payload: Any, watch_id: str, state: UploadState) -> list[Upload]:
    """Return the uploads of what :func:`make_payload` made.

    :param payload: the values, which anyone may have sent
    :param watch_id: the watch whose uploads are expected
    :param state: its state
    :raises UploadRecordError: if *payload* is none, belongs to another watch, or its list is gone
    """
    if not isinstance(payload, Mapping) or payload.get("watch_id") != watch_id:
        raise UploadRecordError(
            f"Expected the uploads of watch {watch_id}; found {payload!r:.200}. Give the task that takes "
            "uploads the same watch as the trigger"
        )
    if "list" not in payload:
        uploads = payload.get("uploads")
        if not isinstance(uploads, Sequence) or isinstance(uploads, str | bytes):
            raise UploadRecordError(f"uploads must be a list of uploads; found {uploads!r:.200}")
        return [Upload.from_dict(upload) for upload in uploads]
    return _read_list(payload["list"], state)


def _read_list(name: Any, state: UploadState) -> list[Upload]:
    # Only a name of our own making may become part of a path.
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UploadRecordError(f"list must be the name of a kept list of uploads; found {name!r:.200}")
    folder = state.folder.child(_FOLDER)
    content = folder.find(name)
    if content is None:
        raise UploadRecordError(
            f"The list of uploads {folder.uri_of(name)} is gone. Those of them that no run has claimed are "
            "offered again"
        )
    return from_jsonl(content, folder.uri_of(name))


def prune_lists(state: UploadState, *, before: float) -> int:
    """Remove the kept lists of old offers.

    :param state: the state of a watch
    :param before: lists of uploads that were all seen earlier than this go, in seconds since the epoch
    :returns: how many were removed
    """
    folder = state.folder.child(_FOLDER)
    removed = 0
    for name in filter(_NAME.fullmatch, folder.names()):
        content = folder.find(name)
        if content is None:  # another process prunes as well
            continue
        if all(upload.seen_at < before for upload in from_jsonl(content, folder.uri_of(name))):
            folder.remove(name)
            removed += 1
    return removed
