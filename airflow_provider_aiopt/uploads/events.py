"""File-system events of a location's folders, collected by a thread of their own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable

_STEP_MS, _DEBOUNCE_MS, _TIMEOUT_MS = 10, 50, 1000
_MOST_PATHS = 200_000


class FolderEvents:
    """Collects the paths of what changes in folders.

    A thread and not ``watchfiles.awatch``, which occupies one of the few threads that all of the process's
    coroutines share.  Each folder is named: to watch a tree, watchfiles looks at every file in it and holds
    the interpreter lock meanwhile, 0.2 s for a hundred thousand.

    :param paths: the folders
    :param wake: called, on the event loop, when something is there to be taken
    """

    def __init__(self, paths: Iterable[str], *, wake: Callable[[], None]) -> None:
        self._watched = list(paths)
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._paths: set[str] = set()
        self._overflowed = False
        self._stop = _StopSignal(self._notify_armed)
        self._armed = asyncio.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._collect, name="aiopt-upload-events", daemon=True)

    async def start(self) -> None:
        """Watch from here on."""
        self._thread.start()
        await self._armed.wait()

    def stop(self) -> None:
        """Stop watching; the thread ends within milliseconds."""
        self._stop.stopped = True

    @property
    def error(self) -> Exception | None:
        """Why there are no events: the folder is gone, or the kernel grants no more watches."""
        return self._error

    def take(self) -> tuple[set[str], bool]:
        """Return the paths of what changed since the last call, and whether more than these."""
        with self._lock:
            paths, self._paths = self._paths, set()
            overflowed, self._overflowed = self._overflowed, False
        return paths, overflowed

    def _collect(self) -> None:
        from watchfiles import watch

        # Each change would be a line of its own in the log.
        logging.getLogger("watchfiles.main").setLevel(logging.WARNING)
        try:
            for changes in watch(
                *self._watched,
                watch_filter=None,
                step=_STEP_MS,
                debounce=_DEBOUNCE_MS,
                rust_timeout=_TIMEOUT_MS,
                stop_event=self._stop,
                raise_interrupt=False,
                recursive=False,
                ignore_permission_denied=True,
            ):
                self._keep({path for _, path in changes})
        except Exception as error:  # noqa: BLE001 - whatever it is: the scans go on without events
            self._error = error
            self._notify_armed()
            self._call(self._wake)

    def _keep(self, paths: set[str]) -> None:
        with self._lock:
            if len(self._paths) + len(paths) > _MOST_PATHS:
                self._overflowed = True
            else:
                self._paths |= paths
        self._call(self._wake)

    def _notify_armed(self) -> None:
        self._call(self._armed.set)

    def _call(self, function: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # the event loop is closed: nobody is interested any more
            self._stop.stopped = True


class _StopSignal:
    """What watchfiles asks, several times a second, whether to stop; first when it has begun to watch."""

    def __init__(self, on_first: Callable[[], None]) -> None:
        self.stopped = False
        self._on_first: Callable[[], None] | None = on_first

    def is_set(self) -> bool:
        """Whether to stop."""
        if self._on_first is not None:
            on_first, self._on_first = self._on_first, None
            on_first()
        return self.stopped
