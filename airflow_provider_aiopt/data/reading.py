"""Reading one file of a source within its limits."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from airflow_provider_aiopt.data.folder import reason_of
from airflow_provider_aiopt.data.listing import Entry, Root
from airflow_provider_aiopt.data.retry import is_about_account
from airflow_provider_aiopt.data.versions import local_version, remote_version
from airflow_provider_aiopt.exceptions import (
    AioptError,
    EmptyRecordError,
    PathEscapeError,
    RecordError,
    RecordReadError,
    RecordTooLargeError,
    SourceError,
    UploadChangedError,
)


def read_entry(root: Root, entry: Entry, *, max_bytes: int) -> bytes:
    """Return the whole content of a file.

    :param max_bytes: a longer file is refused
    :raises PathEscapeError: if a symbolic link leads out of the root
    :raises RecordReadError: if it is gone, may not be read or is no regular file
    :raises EmptyRecordError: if it holds no bytes
    :raises RecordTooLargeError: if it is longer than *max_bytes*
    :raises UploadChangedError: if it is pinned to a version that is not there any more
    :raises SourceError: if a remote file system does not answer: no fault of the record
    """
    content = _reader(root)(root, entry, max_bytes)
    if not content:
        raise EmptyRecordError("The file holds no bytes")
    if len(content) > max_bytes:
        raise _too_large(f"over {max_bytes}", max_bytes)
    return content


def open_local(root: Root, entry: Entry) -> int:
    """Open a local file for reading and return its descriptor.

    :raises PathEscapeError: if a symbolic link leads out of the root
    :raises RecordReadError: if it is gone, may not be read or is no regular file
    :raises UploadChangedError: if it is pinned to a version that is not there any more
    """
    return _open_checked(root, entry)[0]


def _open_checked(root: Root, entry: Entry) -> tuple[int, int]:
    """Return the descriptor of :func:`open_local` and the file's size."""
    path = root.path_of(entry)
    try:
        # Without O_NONBLOCK, opening a pipe would wait for a writer for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(error) from error
    try:
        size = _check_local(root, path, descriptor)
        _check_local_version(entry, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, size


def _reader(root: Root) -> Callable[[Root, Entry, int], bytes]:
    return _read_local if root.is_local else _read_remote


def _read_local(root: Root, entry: Entry, max_bytes: int) -> bytes:
    descriptor, size = _open_checked(root, entry)
    try:
        if size > max_bytes:
            raise _too_large(str(size), max_bytes)
        chunks = []
        remaining = max_bytes + 1
        while remaining > 0 and (chunk := os.read(descriptor, min(remaining, size + 1))):
            chunks.append(chunk)
            remaining -= len(chunk)
        _check_local_version(entry, descriptor)  # again: it may have been written while it was read
    except OSError as error:
        raise _unreadable(error) from error
    finally:
        os.close(descriptor)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _check_local(root: Root, path: str, descriptor: int) -> int:
    """Judge what was really opened, so that a link swapped in after a check cannot slip through.

    :returns: the file's size
    """
    try:
        real = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - a Path costs more than the call
    except OSError:  # there is no /proc
        real = os.path.realpath(path)
    if not root.holds(real):
        raise PathEscapeError(
            f"A symbolic link leads out of the source's root {root.path} to {real}. Copy the file into the "
            "root, or name its own folder as the source"
        )
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise RecordReadError("It is not a regular file but a folder, pipe, socket or device")
    return status.st_size


def _read_remote(root: Root, entry: Entry, max_bytes: int) -> bytes:
    if entry.size > max_bytes:
        raise _too_large(str(entry.size), max_bytes)
    with remote_errors(root, entry):
        _check_pinned(root, entry)  # first: what took its place may be of any size
        content = root.calls.cat_file(root.filesystem, root.path_of(entry))
        _check_pinned(root, entry)  # read is what was there throughout
        return content


def _check_pinned(root: Root, entry: Entry) -> None:
    if entry.is_pinned:
        root.calls.read(lambda: check_remote_version(root, entry))


def check_remote_version(root: Root, entry: Entry) -> None:
    """Make sure that a pinned remote file is of its version; of others nothing is asked.

    :raises UploadChangedError: if it is another one
    """
    if entry.is_pinned:
        path = root.path_of(entry)
        root.filesystem.invalidate_cache(path)
        _check_version(entry, remote_version(root.filesystem.info(path)))


def _check_local_version(entry: Entry, descriptor: int) -> None:
    if entry.is_pinned:
        _check_version(entry, local_version(os.fstat(descriptor)))


def _check_version(entry: Entry, found: str) -> None:
    if found != entry.version:
        raise UploadChangedError(
            f"The object was replaced after it was seen: the upload is of version {entry.version}, found "
            f"{found}. The newer version is an upload of its own"
        )


@contextmanager
def local_errors() -> Iterator[None]:
    """Translate what this machine's own file system raises within the block.

    :raises RecordReadError: for every :class:`OSError`
    """
    try:
        yield
    except AioptError:
        raise
    except OSError as error:
        raise _unreadable(error) from error


@contextmanager
def remote_errors(root: Root, entry: Entry) -> Iterator[None]:
    """Translate what a remote file system raises within the block.

    :raises RecordReadError: if the file is gone or forbidden
    :raises SourceError: for everything else
    """
    try:
        yield
    except AioptError:
        raise
    except Exception as error:  # whatever the driver's client library raises
        if isinstance(error, FileNotFoundError | PermissionError) and not is_about_account(error):
            raise _unreadable(error) from error
        raise SourceError(
            f"Cannot read {root.uri_of(entry)}: {reason_of(error)}{root.calls.effort(error)}. The storage is "
            "at fault, not the record: a retry goes on after the last finished shard. For more patience "
            "raise source.attempts or source.read_timeout_s"
        ) from error


def _unreadable(error: OSError) -> RecordError:
    if isinstance(error, FileNotFoundError):
        return RecordReadError("The file is gone: it was deleted after the listing, or its link is dangling")
    return RecordReadError(f"The file cannot be read: {reason_of(error)}")


def _too_large(actual: str, limit: int) -> RecordTooLargeError:
    return RecordTooLargeError(
        f"The record has {actual} bytes; source.max_record_bytes allows {limit}. Raise it to take such "
        "records"
    )
