"""One folder of a local or remote file system, written atomically."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from airflow_provider_aiopt.exceptions import AioptError, StorageError, StorageFullError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class FileSystemResolver(Protocol):
    """Finds the file system of a URI.  Airflow's bridge supplies one that knows Airflow connections."""

    def __call__(
        self, uri: str, *, connection: str | None, storage_options: Mapping[str, Any]
    ) -> tuple[Any, str]:
        """Return an fsspec file system and the path of *uri* within it."""
        ...


def resolve_filesystem(
    uri: str, *, connection: str | None = None, storage_options: Mapping[str, Any] | None = None
) -> tuple[Any, str]:
    """Find the file system of *uri* through fsspec alone.

    :param uri: a local path or a URL that fsspec knows
    :param connection: an Airflow connection id; refused here, since only Airflow can look it up
    :param storage_options: keyword arguments of the file system
    :returns: an :class:`fsspec.AbstractFileSystem` and the path within it
    :raises StorageError: if a connection is named, or if the protocol's driver is not installed
    """
    import fsspec

    if connection:
        raise StorageError(
            f"{uri} names the Airflow connection {connection!r}, which only Airflow can look up. "
            "Outside Airflow give storage_options or the environment's own credentials instead."
        )
    try:
        filesystem, path = fsspec.core.url_to_fs(uri, **(storage_options or {}))
    except (ImportError, ValueError) as error:
        raise StorageError(f"No file system for {uri}: {error}") from error
    return filesystem, path


@contextmanager
def storage_errors(action: str, uri: str) -> Iterator[None]:
    """Translate :class:`OSError` within the block into this package's errors.

    :param action: what is being done, for the message: ``"write"``, ``"read"``
    :param uri: on what
    :raises StorageFullError: where there is no room left
    :raises StorageError: for every other :class:`OSError`
    """
    try:
        yield
    except AioptError:
        raise
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        if error.errno in _NO_ROOM:
            raise StorageFullError(
                error.errno,
                f"Cannot {action} {uri}: {reason}. Free some room or move [aiopt] work_dir or the sink "
                "elsewhere, then retry the task: it goes on after the last finished shard",
            ) from error
        raise StorageError(error.errno, f"Cannot {action} {uri}: {reason}") from error


class Folder:
    """A folder in which files appear whole or not at all.

    Local files are written under a temporary name, flushed to disk and renamed; on object stores one put is
    atomic by itself.

    :param uri: the folder's local path or URL
    :param filesystem: its fsspec file system
    :param path: its path within the file system
    """

    def __init__(self, uri: str, filesystem: Any, path: str) -> None:
        self.uri = uri.rstrip("/")
        self.filesystem = filesystem
        self.path = path.rstrip("/")

    @classmethod
    def open(
        cls,
        uri: str,
        *,
        connection: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        resolver: FileSystemResolver = resolve_filesystem,
    ) -> Folder:
        """Open the folder at *uri*; it need not exist yet.

        :param uri: a local path or a URL that fsspec knows
        :param connection: an Airflow connection id for the credentials
        :param storage_options: keyword arguments of the file system
        :param resolver: how to find the file system
        """
        filesystem, path = resolver(uri, connection=connection, storage_options=storage_options or {})
        return cls(uri, filesystem, path)

    @property
    def is_local(self) -> bool:
        """Whether the folder is on this machine's own file system."""
        protocol = self.filesystem.protocol
        return "file" in ((protocol,) if isinstance(protocol, str) else protocol)

    def child(self, name: str) -> Folder:
        """Return the sub-folder *name*."""
        return Folder(self.uri_of(name), self.filesystem, self._path_of(name))

    def uri_of(self, name: str) -> str:
        """Return the full URI of the file *name* in this folder."""
        return f"{self.uri}/{name}"

    def local_path(self, name: str) -> Path | None:
        """Return the path of the file *name* where it can be memory-mapped, else None."""
        return Path(self._path_of(name)) if self.is_local else None

    def exists(self, name: str) -> bool:
        """Whether the folder has a file *name*."""
        with storage_errors("look up", self.uri_of(name)):
            return bool(self.filesystem.exists(self._path_of(name)))

    def names(self) -> list[str]:
        """Return the names of the folder's files, sorted; none where the folder does not exist."""
        with storage_errors("list", self.uri):
            try:
                self.filesystem.invalidate_cache(self.path)
                entries = self.filesystem.ls(self.path, detail=True)
            except FileNotFoundError:
                return []
        files = (str(entry["name"]) for entry in entries if entry["type"] == "file")
        return sorted(name.rsplit("/", 1)[-1] for name in files if not name.endswith(".tmp"))

    def read(self, name: str) -> bytes:
        """Return the content of the file *name*.

        :raises StorageError: if it cannot be read
        """
        with storage_errors("read", self.uri_of(name)):
            return bytes(self.filesystem.cat_file(self._path_of(name)))

    def version(self, name: str) -> str | None:
        """Return what changes when the file *name* does: an etag, or else the time of its last change.

        :returns: None where there is no such file; empty where the file system does not tell
        """
        with storage_errors("look up", self.uri_of(name)):
            try:
                self.filesystem.invalidate_cache(self.path)
                info = self.filesystem.info(self._path_of(name))
            except FileNotFoundError:
                return None
        keys = ("ETag", "etag", "md5Hash", "version_id", "LastModified", "updated", "mtime", "created")
        return next((str(info[key]) for key in keys if info.get(key)), "")

    def download(self, name: str, target: Path) -> None:
        """Copy the file *name* to this machine; *target* appears whole, whoever else downloads it.

        :raises StorageFullError: if there is no room left
        :raises StorageError: if it cannot be read or written
        """
        partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
        with storage_errors("copy to this machine", self.uri_of(name)):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                self.filesystem.get_file(self._path_of(name), str(partial))
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)

    def write(self, name: str, content: bytes) -> None:
        """Write the file *name* at once, replacing one of that name.

        :raises StorageFullError: if there is no room left
        :raises StorageError: if it cannot be written
        """
        with self.create(name) as stream:
            stream.write(content)

    @contextmanager
    def create(self, name: str) -> Iterator[IO[bytes]]:
        """Open the file *name* for writing; it appears, whole, when the block ends without an error.

        :raises StorageFullError: if there is no room left
        :raises StorageError: if it cannot be written
        """
        with storage_errors("write", self.uri_of(name)):
            if self.is_local:
                with _local_file(Path(self._path_of(name))) as stream:
                    yield stream
            else:
                with (
                    self.filesystem.transaction,
                    self.filesystem.open(self._path_of(name), "wb") as stream,
                ):
                    yield stream

    def remove(self, name: str) -> None:
        """Remove the file *name* if it is there."""
        with storage_errors("remove", self.uri_of(name)):
            if self.filesystem.exists(self._path_of(name)):
                self.filesystem.rm_file(self._path_of(name))

    def _path_of(self, name: str) -> str:
        return f"{self.path}/{name}"


@contextmanager
def _local_file(target: Path) -> Iterator[IO[bytes]]:
    target.parent.mkdir(parents=True, exist_ok=True)
    for leftover in target.parent.glob(f".{target.name}.*.tmp"):  # of an attempt that was killed
        leftover.unlink(missing_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
