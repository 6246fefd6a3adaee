"""Sets of keys on storage that only ever grow, kept so that several processes may add to them at once."""

from __future__ import annotations

import heapq
import itertools
import uuid
from collections.abc import Collection, Iterable, Iterator

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.exceptions import StorageError, UploadRecordError

_SUFFIX = ".bin"
_ATTEMPTS = 10


class KeyFiles:
    """A set of keys as files that never change, each with sorted keys of one width.

    Whoever adds keys writes a file of its own, so that none can overwrite what another wrote.  Merging writes
    the union first and removes the parts then.

    :param folder: where the files lie
    :param width: bytes of a key
    """

    def __init__(self, folder: Folder, *, width: int = 16) -> None:
        self._folder = folder
        self._width = width

    def among(self, keys: Collection[str]) -> set[str]:
        """Return those of *keys*, in hexadecimal digits, that are in the set."""
        found: set[str] = set()
        for _, content in self._contents() if keys else ():
            found.update(key for key in keys if _holds(content, bytes.fromhex(key), self._width))
        return found

    def add(self, keys: Iterable[bytes]) -> None:
        """Add *keys*."""
        self._write(b"".join(sorted(set(keys))))

    def parts(self) -> list[bytes]:
        """Return the files' contents."""
        return [content for _, content in self._contents()]

    def merge(self) -> None:
        """Make one file of many."""
        contents = self._contents()
        if len(contents) <= 1:
            return
        # Key by key: one call that sorts a million would hold the interpreter lock for long.
        union = heapq.merge(*(_keys(content, self._width) for _, content in contents))
        self._write(b"".join(key for key, _ in itertools.groupby(union)))
        for name, _ in contents:
            self._folder.remove(name)

    def _write(self, content: bytes) -> None:
        if content:
            self._folder.write(f"{uuid.uuid4().hex}{_SUFFIX}", content)

    def _names(self) -> list[str]:
        return [name for name in self._folder.names() if name.endswith(_SUFFIX)]

    def _contents(self) -> list[tuple[str, bytes]]:
        for _ in range(_ATTEMPTS):
            names = self._names()
            contents = [(name, self._folder.find(name)) for name in names]
            whole = [(name, content) for name, content in contents if content is not None]
            # Else somebody merged meanwhile; a listing may miss the union and its parts alike.
            if len(whole) == len(contents) and names == self._names():
                break
        else:
            raise StorageError(f"The files in {self._folder.uri} vanish faster than they can be read")
        for name, content in whole:
            if len(content) % self._width:
                raise UploadRecordError(
                    f"{self._folder.uri_of(name)} has {len(content)} bytes, not a multiple of {self._width}: "
                    "it was damaged. Restore it from a backup; without it uploads may run again"
                )
        return whole


def _holds(content: bytes, key: bytes, width: int) -> bool:
    low, high = 0, len(content) // width
    while low < high:
        middle = (low + high) // 2
        found = content[middle * width : (middle + 1) * width]
        if found == key:
            return True
        if found < key:
            low = middle + 1
        else:
            high = middle
    return False


def _keys(content: bytes, width: int) -> Iterator[bytes]:
    return (content[start : start + width] for start in range(0, len(content), width))
