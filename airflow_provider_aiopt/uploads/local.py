"""A local folder: scanned, and told of by file-system events."""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator

from airflow_provider_aiopt.data.listing import Root, matches
from airflow_provider_aiopt.data.uploads import upload_key
from airflow_provider_aiopt.data.versions import local_version
from airflow_provider_aiopt.spec.uploads import UploadWatchSpec
from airflow_provider_aiopt.uploads.ignoring import is_ignored, is_ignored_folder
from airflow_provider_aiopt.uploads.leases import is_closed
from airflow_provider_aiopt.uploads.settling import Sighting

log = logging.getLogger(__name__)

_CHUNK = 2000  # files between two looks at what else there is to do: some 20 ms
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # what watchfiles makes of bytes that are no UTF-8


class LocalLocation:
    """A folder on this machine's own file system.

    :param spec: the watch
    :param root: the folder
    :ivar folders: the folders that were found so far, relative to the root
    """

    is_local = True

    def __init__(self, spec: UploadWatchSpec, root: Root) -> None:
        self._spec = spec
        self._path = root.path.rstrip("/") or "/"
        self._prefix = f"{self._path.rstrip('/')}/"
        self._uri = root.uri
        self._refused: set[str] = set()
        self.folders: set[str] = set()

    def cpu_clock(self) -> Callable[[], float]:
        """Return a clock of the CPU time that scanning takes, in seconds."""
        return time.thread_time

    def find_folders(self) -> None:
        """Look for sub-folders, without a look at any file."""
        self.folders = set()
        try:
            for _ in self._walk(""):
                pass
        except OSError:
            return  # scanning says what is wrong

    def folder_paths(self, folders: Iterable[str]) -> list[str]:
        """Return the paths of those of *folders* that are there."""
        paths = []
        for folder in folders:
            path = f"{self._prefix}{folder}"
            if _is_folder(path.rstrip("/") or "/"):
                paths.append(path)
            else:
                self.folders.discard(folder)
        return paths

    def pages(self, folder: str = "") -> Iterator[list[Sighting]]:
        """Yield what is there, some files at a time.

        :param folder: only this sub-folder, relative to the root
        :raises OSError: if the folder itself cannot be listed; sub-folders that cannot are passed over
        """
        page: list[Sighting] = []
        for name, item in self._walk(folder):
            sighting = self._sighting(name, item)
            if sighting is not None:
                page.append(sighting)
            if len(page) >= _CHUNK:
                yield page
                page = []
        yield page

    def identity(self) -> tuple[int, int] | None:
        """Return what changes when the folder is replaced by another one; None where there is none."""
        try:
            status = os.stat(self._path)  # noqa: PTH116 - called once a second
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def look(self, uri: str) -> tuple[Sighting, bool | None] | None:
        """Look at one file: return how it is and whether nobody writes it; None if there is none to take."""
        path = self._path_of(uri)
        sighting = self._sighting_at(path)
        return (sighting, is_closed(path)) if sighting is not None else None

    def closed(self, uri: str) -> bool | None:
        """Return whether nobody on this machine has the file open for writing; None where that is unknown."""
        return is_closed(self._path_of(uri))

    def changed(self, paths: Iterable[str]) -> tuple[list[Sighting], set[str]]:
        """Return the files that events at *paths* tell of, and the sub-folders that may hold more of them."""
        files, folders = [], set()
        for path in paths:
            name = path.removeprefix(self._prefix)
            if _REPLACEMENT in name and not os.path.lexists(path):
                folders.add(name.rpartition("/")[0])
            elif name != path and not is_ignored(name):
                if _is_folder(path):
                    folders.add(name)
                elif (sighting := self._sighting_at(path)) is not None:
                    files.append(sighting)
        return files, {folder for folder in folders if self._spec.recursive or not folder}

    def _path_of(self, uri: str) -> str:
        return f"{self._prefix}{uri[len(self._uri) + 1 :]}"

    def _walk(self, folder: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        pending = [folder]
        while pending:
            current = pending.pop()
            try:
                with os.scandir(f"{self._prefix}{current}") as items:
                    self.folders.add(current)
                    for item in items:
                        name = f"{current}/{item.name}" if current else item.name
                        if item.is_dir(follow_symlinks=False):
                            if self._spec.recursive and not is_ignored_folder(item.name):
                                pending.append(name)
                        else:
                            yield name, item
            except OSError as error:
                self.folders.discard(current)
                if current == folder:
                    raise
                if not isinstance(error, FileNotFoundError | NotADirectoryError):
                    self._refuse(current, f"the folder cannot be listed: {error.strerror}")

    def _sighting(self, name: str, item: os.DirEntry[str]) -> Sighting | None:
        if not self._is_wanted(name):
            return None
        try:
            return self._seen(name, item.stat())
        except OSError:  # a dangling link, or gone since
            return None

    def _sighting_at(self, path: str) -> Sighting | None:
        name = path.removeprefix(self._prefix)
        if name == path or not self._is_wanted(name):
            return None
        try:
            return self._seen(name, os.stat(path))  # noqa: PTH116 - called for many
        except OSError:
            return None

    def _is_wanted(self, name: str) -> bool:
        if is_ignored(name) or not matches(name, self._spec.pattern):
            return False
        return self._spec.recursive or "/" not in name

    def _seen(self, name: str, status: os.stat_result) -> Sighting | None:
        if not stat.S_ISREG(status.st_mode):
            return None
        try:
            name.encode()
        except UnicodeEncodeError:
            self._refuse(name, "its name is not UTF-8, which no event can carry; rename it")
            return None
        uri, version = f"{self._uri}/{name}", local_version(status)
        return Sighting(uri, status.st_size, version, upload_key(uri, version))

    def _refuse(self, name: str, why: str) -> None:
        """Say once of each file that it is passed over, and why."""
        if name not in self._refused:
            self._refused.add(name)
            log.warning("%s is not taken as an upload: %s", os.fsencode(f"{self._prefix}{name}"), why)


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False
