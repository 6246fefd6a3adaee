"""Creating a file only where there is none, so that of all who try exactly one succeeds."""

from __future__ import annotations

import errno
import inspect
import os
import threading
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.data.folder import Folder, storage_errors
from airflow_provider_aiopt.data.retry import http_status_of
from airflow_provider_aiopt.exceptions import ExclusiveCreateError, StorageError

_EXISTS, _CONFLICT = 412, 409  # HTTP: precondition failed; another conditional request is under way
_ATTEMPTS = 5
_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
_REMOTE = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az")
_memory_lock = threading.Lock()


def check_exclusive(folder: Folder) -> None:
    """Make sure that the storage of *folder* creates files exclusively, by trying.

    Some servers that speak S3 take a conditional request and ignore the condition: there two runs would both
    be told that an upload is theirs.

    :param folder: where to try; a small file is left in it, so that the next check is one look-up
    :raises ExclusiveCreateError: if it does not
    """
    name = "exclusive"
    if folder.exists(name):
        return
    probe = f"{uuid.uuid4().hex}.probe"
    try:
        if not create_exclusively(folder, probe, b"") or create_exclusively(folder, probe, b""):
            raise ExclusiveCreateError(
                f"The storage of {folder.uri} ignores the condition that a file must not exist yet. Put "
                "[aiopt] uploads_dir on storage that heeds it: a local or NFS folder, or S3, Google Cloud "
                "Storage or Azure Data Lake themselves"
            )
    finally:
        folder.remove(probe)
    folder.write(name, b"This storage creates files exclusively.\n")


def create_exclusively(folder: Folder, name: str, content: bytes) -> bool:
    """Create the file *name*, whole and durable, unless it is there.

    :returns: whether it was created; False may also answer a request whose success was lost on the way, so
        that only the file's content tells whose it is
    :raises ExclusiveCreateError: if the storage cannot do so
    :raises StorageError: if it fails
    """
    if folder.is_local:
        path = folder.local_path(name)
        assert path is not None  # noqa: S101 - a local folder has local paths
        with storage_errors("write", folder.uri_of(name)):
            return _link(path, content)
    protocol = folder.filesystem.protocol
    names = (protocol,) if isinstance(protocol, str) else protocol
    if "memory" in names:
        with _memory_lock:  # the file system itself looks first and writes then
            if folder.exists(name):
                return False
            folder.filesystem.pipe_file(f"{folder.path}/{name}", content)
            return True
    if not set(names) & set(_REMOTE):
        raise ExclusiveCreateError(
            f"The file system {names[0]!r} of {folder.uri} cannot create a file only where there is none. "
            "Put [aiopt] uploads_dir on a local or NFS folder, S3, Google Cloud Storage or Azure Data Lake"
        )
    return _put(folder, name, content)


def _link(path: Path, content: bytes) -> bool:
    """Write a file under a name of its own and link it into place: nobody ever sees half of it."""
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in _NO_HARD_LINKS and temporary.exists():
            raise ExclusiveCreateError(
                f"The file system of {path.parent} has no hard links ({error.strerror}), by which claims are "
                "made. Put [aiopt] uploads_dir on another one"
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)
    return True


def sync_folder(path: Path) -> None:
    """Make the names in a local folder durable: a file's own sync does not."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put(folder: Folder, name: str, content: bytes) -> bool:
    put = _conditional_put(folder)
    for _ in range(_ATTEMPTS):
        try:
            with storage_errors("write", folder.uri_of(name), faults=Exception):
                put(f"{folder.path}/{name}", content)
        except StorageError as error:
            status = http_status_of(error)
            if isinstance(error.__cause__, FileExistsError) or status == _EXISTS:
                return False
            if status != _CONFLICT:
                raise
        else:
            return True
    return False


def _conditional_put(folder: Folder) -> Callable[[str, bytes], Any]:
    """Return the driver's own write that takes a condition: fsspec's general one looks first, writes then."""
    filesystem = folder.filesystem
    own = getattr(filesystem, "_pipe_file", None) or filesystem.pipe_file
    parameters = inspect.signature(own).parameters
    for name, value in (("mode", "create"), ("overwrite", False)):  # the second is Azure's
        if name in parameters:
            return partial(filesystem.pipe_file, **{name: value})
    raise ExclusiveCreateError(
        f"The driver of {folder.uri}, {type(filesystem).__module__.partition('.')[0]}, is too old to create "
        "a file only where there is none: upgrade it to a version of October 2024 or later"
    )
