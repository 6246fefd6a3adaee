"""Files of cached rows in a folder, bounded by size, the least recently used removed first.

Any number of processes may write, read and remove at once without a lock: a file appears whole under a name
of its own, never changes, and may vanish at any time, which costs its readers a miss.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PACKS = 4096
"""About how many files a full cache consists of: more make opening and evicting slower, fewer coarser."""

_MOST_PACKS = 4 * PACKS  # runs over few records leave small files
_MOST_ROWS = 2**20  # the index of a task takes some 200 bytes for each
_PARTS = 32
_SUFFIX = ".rows"
_PARTIAL = ".partial"
_ABANDONED_S = 3600  # a partial file that old has no writer any more


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    used_ns: int
    size: int
    rows: int


class PackFolder:
    """The files of one kind of rows, in a cache that other kinds share.

    :param root: the folder of the whole cache
    :param kind: name of the sub-folder
    :param max_bytes: size of the whole cache
    :param now_ns: wall clock in nanoseconds, by which the least recently used is found
    """

    def __init__(
        self, root: Path, kind: str, max_bytes: int, *, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.path = root / kind
        self.max_bytes = max_bytes
        self._root = root
        self._now_ns = now_ns
        self._room = 0  # bytes that may be written before the folder is measured again
        self._lock = threading.Lock()
        self.path.mkdir(parents=True, exist_ok=True)

    def changed_ns(self) -> int:
        """Return when a file last came or went."""
        return self.path.stat().st_mtime_ns

    def names(self) -> list[str]:
        """Return the names of the files of this kind."""
        return [name for name in os.listdir(self.path) if name.endswith(_SUFFIX)]  # noqa: PTH208 - 4x as fast

    def touch(self, name: str) -> None:
        """Note that a file was used."""
        moment = self._now_ns()
        with suppress(OSError):  # gone, or a folder that may only be read: what is read is right all the same
            os.utime(self.path / name, ns=(moment, moment))

    def remove(self, name: str) -> None:
        """Remove a file, if it is still there."""
        with suppress(OSError):
            (self.path / name).unlink()

    def write(self, parts: Sequence[bytes | memoryview], rows: int) -> str | None:
        """Write a file and return its name; None where it is larger than the whole cache.

        :param parts: its content
        :param rows: how many rows that is
        :raises OSError: if it cannot be written; nothing is left of it then
        """
        size = sum(len(part) for part in parts)
        if size > self.max_bytes or rows > _MOST_ROWS:
            return None
        with self._lock:
            self._make_room(size, rows)
        name = f"{uuid.uuid4().hex}-{rows}{_SUFFIX}"
        partial = self.path / f"{name}{_PARTIAL}"
        try:
            with partial.open("xb") as stream:
                stream.writelines(parts)
            moment = self._now_ns()
            os.utime(partial, ns=(moment, moment))
            partial.rename(self.path / name)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        return name

    def _make_room(self, size: int, rows: int) -> None:
        """Remove files until there is room.

        The folder is measured once for each part of it written, so that several processes together exceed
        the limit by no more than a part each.
        """
        if size <= self._room:
            self._room -= size
            return
        files = self._measure()
        total, held, count = size + sum(f.size for f in files), rows + sum(f.rows for f in files), len(files)
        if total > self.max_bytes or held > _MOST_ROWS or count >= _MOST_PACKS:
            # A little more than needed, so that the next file does not have to measure again.
            enough = max(size, self.max_bytes - self.max_bytes // _PARTS)
            for file in files:
                if total <= enough and held <= _MOST_ROWS and count < _MOST_PACKS:
                    break
                file.path.unlink(missing_ok=True)
                total, held, count = total - file.size, held - file.rows, count - 1
        self._room = max(0, min(self.max_bytes - total, self.max_bytes // _PARTS))

    def _measure(self) -> list[_File]:
        """Return the files of all kinds, the least recently used first."""
        files = []
        with os.scandir(self._root) as kinds:
            for kind in kinds:
                if kind.is_dir(follow_symlinks=False):
                    files += self._measure_kind(kind.path)
        return sorted(files, key=lambda file: file.used_ns)

    def _measure_kind(self, path: str) -> list[_File]:
        files = []
        with os.scandir(path) as entries:
            for entry in entries:
                with suppress(OSError, ValueError):  # gone meanwhile, or none of ours
                    if entry.name.endswith(_SUFFIX):
                        status = entry.stat(follow_symlinks=False)
                        rows = int(entry.name.removesuffix(_SUFFIX).rpartition("-")[2])
                        files.append(_File(Path(entry.path), status.st_mtime_ns, status.st_size, rows))
                    elif entry.name.endswith(_PARTIAL):
                        self._remove_abandoned(entry)
        return files

    def _remove_abandoned(self, entry: os.DirEntry[str]) -> None:
        if self._now_ns() - entry.stat().st_mtime_ns > _ABANDONED_S * 10**9:
            Path(entry.path).unlink(missing_ok=True)
