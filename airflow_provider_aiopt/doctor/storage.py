"""How fast storage lists, reads, writes and removes, as pipelines do it."""

from __future__ import annotations

import itertools
import math
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from airflow_provider_aiopt.data.folder import Folder, storage_errors

READERS = 16
"""Files that are read side by side, as many as ``source.readers`` is often set to for remote storage."""

MIB = 1024**2
_MOST_NAMES = 1000
_ONE_BY_ONE = 8
_MOST_FILES = 128
_MOST_BYTES = 64 * MIB
_LARGEST_READ = 8 * MIB
_READ_S = 4.0
_SMALL_FILES = 10
_SMALL_BYTES = 4096
_LARGE_BYTES = 16 * MIB

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Latency:
    """Latencies of calls of one kind, in seconds.

    :param p50: the median
    :param p95: the 95th percentile, for few calls the largest
    :param calls: how many there were
    """

    p50: float
    p95: float
    calls: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latency:
        """Return the percentiles (nearest rank) of some calls."""
        ordered = sorted(seconds)
        return cls(statistics.median(ordered), ordered[math.ceil(0.95 * len(ordered)) - 1], len(ordered))

    def __str__(self) -> str:
        """Return it for people."""
        return f"p50 {self.p50 * 1000:.3g} ms, p95 {self.p95 * 1000:.3g} ms of {self.calls}"


@dataclass(frozen=True, slots=True)
class SourceSpeed:
    """How fast a source can be read.

    :param list_s: seconds that listing took
    :param names: files that were listed, at most 1,000
    :param read: reading one file after the other, each whole or its first 8 MiB
    :param files_per_s: files read per second, several side by side
    :param bytes_per_s: bytes of these
    :param readers: how many side by side
    """

    list_s: float
    names: int
    read: Latency
    files_per_s: float
    bytes_per_s: float
    readers: int


@dataclass(frozen=True, slots=True)
class WorkspaceSpeed:
    """How fast a folder for workspaces is.

    :param write: writing a file of 4 KiB so that it appears whole: locally with flush and rename
    :param read: reading it
    :param remove: removing it
    :param write_bytes_per_s: of one file of 16 MiB
    :param read_bytes_per_s: of the same file, which may come from the operating system's cache
    """

    write: Latency
    read: Latency
    remove: Latency
    write_bytes_per_s: float
    read_bytes_per_s: float


def measure_source(
    filesystem: Any, path: str, uri: str, *, readers: int = READERS, now: Clock = time.monotonic
) -> SourceSpeed | None:
    """List a source and read a part of it: at most 64 MiB, and for at most about 4 s.

    :param filesystem: its fsspec file system
    :param path: the source's path there
    :param uri: the source, for messages
    :param readers: how many files are read side by side
    :returns: None where there is no file
    :raises StorageError: if it cannot be listed or read
    """
    with storage_errors("list", uri, faults=Exception):
        started = now()
        filesystem.invalidate_cache()
        if not filesystem.exists(path):
            raise FileNotFoundError(path)
        files = list(itertools.islice(_files(filesystem, path), _MOST_NAMES))
        list_s = now() - started
    if not files:
        return None
    with storage_errors("read", uri, faults=Exception):
        one_by_one = []
        for name, _ in files[:_ONE_BY_ONE]:
            began = now()
            _read(filesystem, name)
            one_by_one.append(now() - began)
            if sum(one_by_one) > _READ_S:
                break
        # The same files again only where there are no others: they may come from a cache.
        rest = files[len(one_by_one) : _MOST_FILES] or files
        count, size, seconds = _read_side_by_side(filesystem, [name for name, _ in rest], readers, now)
    return SourceSpeed(
        list_s=list_s,
        names=len(files),
        read=Latency.of(one_by_one),
        files_per_s=count / seconds,
        bytes_per_s=size / seconds,
        readers=min(readers, len(rest)),
    )


def _files(filesystem: Any, path: str) -> Iterator[tuple[str, int]]:
    found = False
    for _, _, files in filesystem.walk(path, detail=True):
        for info in files.values():
            found = True
            yield str(info["name"]), int(info.get("size") or 0)
    # Asked last: to HTTP every page is a file.
    if not found and filesystem.isfile(path):
        yield path, int(filesystem.info(path)["size"] or 0)


def _read(filesystem: Any, name: str) -> int:
    return len(filesystem.cat_file(name, start=0, end=_LARGEST_READ))


def _read_side_by_side(
    filesystem: Any, names: Sequence[str], readers: int, now: Clock
) -> tuple[int, int, float]:
    """Read files on several threads; return how many, their bytes and the seconds that it took."""
    waiting: SimpleQueue[str] = SimpleQueue()
    for name in names:
        waiting.put(name)
    sizes: list[int] = []
    faults: list[Exception] = []
    started = now()

    def work() -> None:
        while not faults and now() - started < _READ_S and sum(sizes) < _MOST_BYTES:
            try:
                sizes.append(_read(filesystem, waiting.get_nowait()))
            except Empty:
                return
            except Exception as fault:  # noqa: BLE001 - raised again by whoever waits
                faults.append(fault)

    # Daemons, unlike those of a pool: one that hangs must not keep the process from ending.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(readers, len(names)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return len(sizes), sum(sizes), max(now() - started, 1e-9)


def measure_workspace(folder: Folder, *, now: Clock = time.monotonic) -> WorkspaceSpeed:
    """Write, read and remove files in a folder, as stages do, and leave nothing behind.

    :param folder: the folder of all workspaces
    :raises StorageFullError: if there is no room
    :raises StorageError: if it cannot be written, read or cleaned
    """
    trial = folder.child(f".aiopt-doctor-{uuid.uuid4().hex[:12]}")
    small = [f"{number}.bin" for number in range(_SMALL_FILES)]
    large = "large.bin"
    content = uuid.uuid4().bytes * (_LARGE_BYTES // 16)

    def timed(call: Callable[..., object], *arguments: object) -> float:
        began = now()
        call(*arguments)
        return max(now() - began, 1e-9)

    try:
        writes = [timed(trial.write, name, content[:_SMALL_BYTES]) for name in small]
        reads = [timed(trial.read, name) for name in small]
        removes = [timed(trial.remove, name) for name in small]
        write_s = timed(trial.write, large, content)
        read_s = timed(trial.read, large)
    finally:
        _clean(trial, [*small, large])
    return WorkspaceSpeed(
        write=Latency.of(writes),
        read=Latency.of(reads),
        remove=Latency.of(removes),
        write_bytes_per_s=_LARGE_BYTES / write_s,
        read_bytes_per_s=_LARGE_BYTES / read_s,
    )


def _clean(trial: Folder, names: Sequence[str]) -> None:
    with suppress(Exception):  # what went wrong before is what counts
        for name in names:
            trial.remove(name)
        if trial.filesystem.exists(trial.path):
            trial.filesystem.rmdir(trial.path)
