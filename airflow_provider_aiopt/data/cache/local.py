"""A cache in a local folder."""

from __future__ import annotations

import logging
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_aiopt.data.cache.base import Hits
from airflow_provider_aiopt.data.cache.codec import (
    DamagedRowsError,
    decode_rows,
    encode_rows,
    head_bytes,
    read_keys,
)
from airflow_provider_aiopt.data.cache.packs import PACKS, PackFolder
from airflow_provider_aiopt.data.tensors import gather_rows

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

_OPEN_PACKS = 16  # mapped at once: batches that were cut in other places use each file twice
_LARGEST_PACK = 32 * 1024**2


class LocalCache:
    """Rows in packs: files of the rows that were put at about the same time, which are mapped, not read.

    Each task reads the keys of all packs when it begins, and of new ones when it misses something.

    :param folder: the packs
    """

    def __init__(self, folder: PackFolder) -> None:
        self._folder = folder
        self._pack_bytes = min(folder.max_bytes // PACKS, _LARGEST_PACK)
        self._lock = threading.Lock()
        self._index = _Index()
        self._changed_ns = 0
        self._open: OrderedDict[str, pa.RecordBatch] = OrderedDict()
        self._held: list[tuple[Sequence[bytes], pa.RecordBatch]] = []
        self._held_bytes = 0

    def get(self, keys: Sequence[bytes]) -> Hits:
        """Return the rows that are known; see :meth:`RowCache.get`."""
        with self._lock:
            found = [self._index.find(key) for key in keys]
            if None in found and self._refresh():
                found = [self._index.find(key) for key in keys]
        packs: dict[str, pa.RecordBatch | None] = {}
        for place in found:
            if place is not None and place[0] not in packs:
                packs[place[0]] = self._pack(place[0])
        pieces = [pack for pack in packs.values() if pack is not None]
        numbers = {name: pieces.index(pack) for name, pack in packs.items() if pack is not None}
        places = {
            position: (numbers[place[0]], place[1])
            for position, place in enumerate(found)
            if place is not None and place[0] in numbers
        }
        return Hits(tuple(places), gather_rows(pieces, list(places.values()))) if places else Hits()

    def put(self, keys: Sequence[bytes], rows: pa.RecordBatch) -> None:
        """Keep rows; small ones are held back until they are worth a file.

        :raises OSError: if they cannot be written
        """
        with self._lock:
            self._held.append((keys, rows))
            self._held_bytes += rows.nbytes
            if self._held_bytes < self._pack_bytes:
                return
            held, self._held, self._held_bytes = self._held, [], 0
        self._write(held)

    def close(self) -> None:
        """Write what is held back.

        :raises OSError: if it cannot be written
        """
        with self._lock:
            held, self._held, self._held_bytes = self._held, [], 0
            self._open.clear()
        if held:
            self._write(held)

    def _write(self, held: Sequence[tuple[Sequence[bytes], pa.RecordBatch]]) -> None:
        keys = [key for group, _ in held for key in group]
        pieces = [rows for _, rows in held]
        places = [(number, row) for number, rows in enumerate(pieces) for row in range(rows.num_rows)]
        parts = encode_rows(keys, gather_rows(pieces, places))
        name = self._folder.write(parts, len(keys))
        if name is not None:
            with self._lock:
                self._index.add(name, keys)

    def _refresh(self) -> bool:
        """Take note of what other tasks wrote and removed; return whether there was anything."""
        changed_ns = self._folder.changed_ns()
        if changed_ns == self._changed_ns:
            return False
        self._changed_ns = changed_ns
        names = set(self._folder.names())
        for name in self._index.names - names:
            self._index.drop(name)
        for name in names - self._index.names:
            with suppress(FileNotFoundError):
                self._index.add(name, self._keys(name))
        return True

    def _keys(self, name: str) -> list[bytes]:
        with (self._folder.path / name).open("rb", buffering=0) as stream:
            try:
                rows = int(name.partition(".")[0].rpartition("-")[2])
                return read_keys(stream.read(head_bytes(rows)))
            except ValueError as error:  # DamagedRowsError is one
                self._discard(name, error)
                return []

    def _pack(self, name: str) -> pa.RecordBatch | None:
        """Return a pack's rows; None where they are gone or damaged."""
        import pyarrow as pa

        with self._lock:
            if name in self._open:
                self._open.move_to_end(name)
                return self._open[name]
        path = self._folder.path / name
        try:
            rows = decode_rows(_mapped(path))
        except (FileNotFoundError, DamagedRowsError, pa.ArrowInvalid) as error:
            with self._lock:
                self._index.drop(name)
                self._discard(name, error)
            return None
        self._folder.touch(name)
        with self._lock:
            self._open[name] = rows
            if len(self._open) > _OPEN_PACKS:
                self._open.popitem(last=False)
        return rows

    def _discard(self, name: str, error: Exception) -> None:
        if isinstance(error, FileNotFoundError):
            return
        log.warning("The cached rows in %s are damaged and removed: %s", self._folder.path / name, error)
        self._folder.remove(name)


def _mapped(path: Path) -> pa.Buffer:
    """Return a file's bytes, which stay readable when the file is removed."""
    import pyarrow as pa

    if not path.stat().st_size:  # nothing cannot be mapped
        return pa.py_buffer(b"")
    with pa.memory_map(str(path)) as mapped:
        return mapped.read_buffer()


class _Index:
    """Where each key's row is.  Rows are numbered across packs, which takes half the memory of pairs."""

    def __init__(self) -> None:
        self._keys: dict[str, Sequence[bytes]] = {}
        self._rows: dict[bytes, int] = {}
        self._starts: list[int] = []
        self._packs: list[str] = []
        self._end = 0

    @property
    def names(self) -> set[str]:
        """The packs that are known."""
        return set(self._keys)

    def add(self, name: str, keys: Sequence[bytes]) -> None:
        """Enter a pack that is not known yet; its rows come in the place of older ones of the same keys."""
        if name in self._keys:  # another thread has just found what this one wrote
            return
        self._keys[name] = keys
        self._starts.append(self._end)
        self._packs.append(name)
        self._rows.update(zip(keys, range(self._end, self._end + len(keys)), strict=True))
        self._end += len(keys)

    def find(self, key: bytes) -> tuple[str, int] | None:
        """Return the pack and the row within it."""
        number = self._rows.get(key)
        if number is None:
            return None
        pack = bisect_right(self._starts, number) - 1
        return self._packs[pack], number - self._starts[pack]

    def drop(self, name: str) -> None:
        """Forget a pack."""
        for key in self._keys.pop(name, ()):
            place = self.find(key)
            if place is not None and place[0] == name:
                del self._rows[key]
