"""One folder of a local or remote file system, written atomically."""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol, cast

from airflow_provider_aiopt.data.versions import version_of
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
        if "://" not in uri:
            # Airflow's run ids may hold "::", by which fsspec would tell chained URLs apart.
            filesystem = fsspec.filesystem("file", **(storage_options or {}))
            return filesystem, str(filesystem._strip_protocol(uri))  # noqa: SLF001 - as url_to_fs does
        filesystem, path = fsspec.core.url_to_fs(uri, **(storage_options or {}))
    except (ImportError, ValueError) as error:
        raise StorageError(f"No file system for {uri}: {error}") from error
    return filesystem, path


@contextmanager
def storage_errors(action: str, uri: str, *, faults: type[Exception] = OSError) -> Iterator[None]:
    """Translate errors within the block into this package's own.

    :param action: what is being done, for the message: ``"write"``, ``"read"``
    :param uri: on what
    :param faults: what counts as the storage's error; drivers of remote file systems raise what their client
        libraries do, so that around nothing but a call of theirs it is every :class:`Exception`
    :raises StorageFullError: where there is no room left
    :raises StorageError: for every other error
    """
    try:
        yield
    except AioptError:
        raise
    except faults as error:
        reason = reason_of(error)
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise StorageFullError(
                f"Cannot {action} {uri}: {reason}. Free some room or move [aiopt] work_dir or the sink "
                "elsewhere, then retry the task: it goes on after the last finished shard"
            ) from error
        raise StorageError(f"Cannot {action} {uri}: {reason}") from error


def reason_of(error: Exception) -> str:
    """Return what *error* says, without number, path or class where it says anything else."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class Folder:
    """A folder in which files appear whole or not at all.

    Local files are written under a temporary name, flushed to disk and renamed; for object stores, where one
    put is atomic by itself, they are written to this machine's temporary folder first.

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
        with storage_errors("look up", self.uri_of(name), faults=self._faults):
            self.filesystem.invalidate_cache(self.path)
            return bool(self.filesystem.exists(self._path_of(name)))

    def names(self) -> list[str]:
        """Return the names of the folder's files, sorted; none where the folder does not exist."""
        return [name for name in self._list("file") if not name.endswith(".tmp")]

    def folders(self) -> list[str]:
        """Return the names of the folder's sub-folders, sorted; none where the folder does not exist."""
        return self._list("directory")

    def find(self, name: str) -> bytes | None:
        """Return the content of the file *name*, or None where there is none.

        :raises StorageError: if it cannot be read
        """
        with storage_errors("read", self.uri_of(name), faults=self._faults):
            try:
                return bytes(self.filesystem.cat_file(self._path_of(name)))
            except FileNotFoundError:
                return None

    def read(self, name: str) -> bytes:
        """Return the content of the file *name*.

        :raises StorageError: if it cannot be read
        """
        with storage_errors("read", self.uri_of(name), faults=self._faults):
            return bytes(self.filesystem.cat_file(self._path_of(name)))

    def version(self, name: str) -> str | None:
        """Return what changes when the file *name* does: an etag, or else the time of its last change.

        :returns: None where there is no such file; empty where the file system does not tell
        """
        with storage_errors("look up", self.uri_of(name), faults=self._faults):
            try:
                self.filesystem.invalidate_cache(self.path)
                info = self.filesystem.info(self._path_of(name))
            except FileNotFoundError:
                return None
        return version_of(info)

    def download(self, name: str, target: Path) -> None:
        """Copy the file *name* to this machine; *target* appears whole, whoever else downloads it.

        :raises StorageFullError: if there is no room left
        :raises StorageError: if it cannot be read or written
        """
        partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
        with storage_errors("copy to this machine", self.uri_of(name), faults=self._faults):
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
        if self.is_local:
            with storage_errors("write", self.uri_of(name)), _local_file(Path(self._path_of(name))) as stream:
                yield stream
            return
        # Not fsspec's transactions: a file system has one for all its files, and those do not nest.
        by_way_of = f"{self.uri_of(name)} by way of {tempfile.gettempdir()}"
        with storage_errors("write", by_way_of), tempfile.NamedTemporaryFile(prefix="aiopt-") as copy:
            yield cast("IO[bytes]", copy)
            copy.flush()
            with storage_errors("write", self.uri_of(name), faults=self._faults):
                self.filesystem.put_file(copy.name, self._path_of(name))

    def remove(self, name: str) -> None:
        """Remove the file *name* if it is there."""
        with storage_errors("remove", self.uri_of(name), faults=self._faults), suppress(FileNotFoundError):
            self.filesystem.rm_file(self._path_of(name))

    def _list(self, kind: str) -> list[str]:
        with storage_errors("list", self.uri, faults=self._faults):
            try:
                self.filesystem.invalidate_cache(self.path)
                entries = self.filesystem.ls(self.path, detail=True)
            except FileNotFoundError:
                return []
        found = (str(entry["name"]).rstrip("/") for entry in entries if entry["type"] == kind)
        return sorted(name.rsplit("/", 1)[-1] for name in found)

    @property
    def _faults(self) -> type[Exception]:
        """What the file system's own calls raise; a local one nothing but :class:`OSError`."""
        return OSError if self.is_local else Exception

    def _path_of(self, name: str) -> str:
        return f"{self.path}/{name}"


@contextmanager
def _local_file(target: Path) -> Iterator[IO[bytes]]:
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(target)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        with _open_locked(temporary) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _open_locked(path: Path) -> IO[bytes]:
    """Create a file and lock it for as long as it is open, so that all can see that its writer lives."""
    while True:
        stream = path.open("wb")
        with suppress(OSError):  # some network file systems have no locks: then nothing is ever abandoned
            fcntl.flock(stream, fcntl.LOCK_EX)
        if path.exists():
            return stream
        stream.close()  # it was taken for abandoned before it was locked


def _remove_abandoned(target: Path) -> None:
    """Remove what writers of *target* left that were killed: files that nobody has locked any more."""
    for leftover in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        with suppress(OSError), leftover.open("rb+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leftover.unlink()
