"""What changes when the content of a file or object does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

_IDENTITIES = ("generation", "ETag", "etag", "md5Hash", "version_id")
_TIMES = ("LastModified", "updated", "last_modified", "mtime", "modified", "created")


def version_of(info: Mapping[str, Any]) -> str:
    """Return what changes when a remote file does, of what its file system tells of it; may be empty.

    Of Google Cloud Storage it is the generation, since the etag changes with the metadata, too.
    """
    return next((str(info[key]) for key in (*_IDENTITIES, *_TIMES) if info.get(key)), "")


def remote_version(info: Mapping[str, Any]) -> str:
    """Return the version of an upload to remote storage: an etag or generation, else ``<time>-<size>``."""
    found = next((str(info[key]) for key in _IDENTITIES if info.get(key)), "")
    return found.strip('"') if found else f"{version_of(info)}-{info.get('size') or 0}"


def local_version(status: os.stat_result) -> str:
    """Return the version of an upload to a local folder: ``<inode>-<mtime in ns>-<size>``.

    The inode tells files apart that were renamed into each other's place with equal sizes and kept times.
    """
    return f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"
