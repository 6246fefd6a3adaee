"""Watching a location: one asynchronous stream of lists of uploads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress

from airflow_provider_aiopt.data.folder import FileSystemResolver, resolve_filesystem
from airflow_provider_aiopt.data.listing import folder_root
from airflow_provider_aiopt.data.retry import RemoteCalls
from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.spec.source import SourceSpec
from airflow_provider_aiopt.spec.uploads import UploadWatchSpec
from airflow_provider_aiopt.uploads.clocks import Clocks
from airflow_provider_aiopt.uploads.events import FolderEvents
from airflow_provider_aiopt.uploads.follower import Follower
from airflow_provider_aiopt.uploads.local import LocalLocation
from airflow_provider_aiopt.uploads.remote import RemoteLocation
from airflow_provider_aiopt.uploads.state import UploadState, open_state

_HEARTBEAT_S = 1.0
_REARM_SHARE = 0.05  # of the time may be spent on having new folders watched


async def watch(
    spec: UploadWatchSpec,
    *,
    state: UploadState | None = None,
    default_state: str | None = None,
    resolver: FileSystemResolver = resolve_filesystem,
    clocks: Clocks | None = None,
    on_ready: Callable[[], None] | None = None,
) -> AsyncGenerator[list[Upload]]:
    """Watch a location for ever and yield its new uploads, up to ``max_batch`` at a time.

    What was yielded counts as offered; it is yielded again until a claim shows that it arrived.  Blocking
    calls are made on threads, one at a time.  Storage that fails is tried again for ever; close the iterator
    to stop.

    :param spec: what to watch
    :param state: where claims are looked for; default: opened as *spec* says
    :param default_state: folder or URL of the state where *spec* names none, ``[aiopt] uploads_dir``
    :param resolver: how to find file systems
    :param clocks: where to read the time
    :param on_ready: called once everything that appears from now on is sure to be offered
    :raises SpecError: if there is nowhere to keep the state
    :raises StorageError: if no driver is installed for the location
    :raises ExclusiveCreateError: if the state's storage cannot decide who is first
    """
    clocks = clocks or Clocks()
    if state is None:
        state = await asyncio.to_thread(
            open_state, spec, default=default_state, resolver=resolver, clock=clocks.wall
        )
    location = await asyncio.to_thread(open_location, spec, resolver)
    watcher = _Watcher(spec, location, Follower(spec, location, state, clocks), clocks)
    try:
        async for batch in watcher.batches(on_ready):
            yield batch
    finally:
        await watcher.close()


def open_location(
    spec: UploadWatchSpec, resolver: FileSystemResolver = resolve_filesystem
) -> LocalLocation | RemoteLocation:
    """Return the location that *spec* watches; it need not exist yet.

    :raises StorageError: if no driver is installed for it, or its connection is not to be had
    """
    filesystem, path = resolver(spec.uri, connection=spec.connection, storage_options=spec.storage_options)
    root = folder_root(filesystem, path, RemoteCalls(SourceSpec(uri=spec.uri)))
    return LocalLocation(spec, root) if root.is_local else RemoteLocation(spec, root)


class _Watcher:
    """Drives a :class:`Follower`: when it has work, when it waits, and which events it gets."""

    def __init__(
        self,
        spec: UploadWatchSpec,
        location: LocalLocation | RemoteLocation,
        follower: Follower,
        clocks: Clocks,
    ) -> None:
        self._spec = spec
        self._location = location
        self._follower = follower
        self._clocks = clocks
        self._wake = asyncio.Event()
        self._events: FolderEvents | None = None
        self._identity: tuple[int, int] | None = None
        self._is_granted = False
        self._armed: set[str] = set()
        self._rearm_at = 0.0

    async def batches(self, on_ready: Callable[[], None] | None) -> AsyncIterator[list[Upload]]:
        """Yield batches for ever."""
        while True:
            await self._arm()
            self._wake.clear()
            if self._events is not None:
                self._follower.note(*self._events.take())
            await asyncio.to_thread(self._follower.turn)
            if on_ready is not None and self._follower.is_ready:
                on_ready()
                on_ready = None
            while batch := self._follower.batch():
                yield batch
            await self._rest()

    async def close(self) -> None:
        """Stop the events and keep what is known to be claimed."""
        self._disarm()
        await asyncio.to_thread(self._follower.close)

    async def _arm(self) -> None:
        """Have events of the folders that are there now: made, removed or replaced as they are."""
        location = self._location
        if not isinstance(location, LocalLocation):
            return
        identity = location.identity()
        if identity != self._identity:
            self._disarm()
            self._identity = identity
            self._is_granted = identity is not None
            self._follower.look_soon()
            if identity is not None:
                await asyncio.to_thread(location.find_folders)
                await self._watch_folders(location)
            return
        news = location.folders - self._armed
        if news and self._is_granted and self._clocks.monotonic() >= self._rearm_at:
            await self._watch_folders(location)
            # What was put into them before they were watched.
            self._follower.scan_folders(news & location.folders)

    async def _watch_folders(self, location: LocalLocation) -> None:
        began = self._clocks.monotonic()
        folders = set(location.folders)
        paths = await asyncio.to_thread(location.folder_paths, folders)
        events = FolderEvents(paths, wake=self._wake.set)
        await events.start()
        if self._events is not None:
            self._follower.note(*self._events.take())
        self._disarm()
        if isinstance(events.error, FileNotFoundError):
            return  # one was removed in this moment: again at the next turn
        if events.error is not None:
            self._is_granted = False
            self._follower.without_events(events.error)
            return
        self._events, self._armed = events, folders
        took = self._clocks.monotonic() - began
        self._rearm_at = self._clocks.monotonic() + took / _REARM_SHARE

    def _disarm(self) -> None:
        if self._events is not None:
            self._events.stop()
        self._events, self._armed = None, set()

    async def _rest(self) -> None:
        pause = min(self._follower.due_at() - self._clocks.monotonic(), _HEARTBEAT_S)
        if pause <= 0:
            await asyncio.sleep(0)
            return
        # Not wait_for, which loses a cancellation that comes with the event (Python 3.11).
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._wake.wait()
