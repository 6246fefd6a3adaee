"""The package's threads that are running."""

from __future__ import annotations

import threading

_FOR_LIFE = "aiopt-process-starter"
"""Worker processes end with the thread that started them, so that thread stays as long as this process."""


_earlier: set[threading.Thread] = set()


def forget_running_threads() -> None:
    """Take those that run now for earlier tests': what hangs on purpose outlives its test for a while."""
    _earlier.clear()
    _earlier.update(threading.enumerate())


def running_threads() -> set[threading.Thread]:
    """Those of the running test that whoever started them shall end."""
    return {
        thread
        for thread in set(threading.enumerate()) - _earlier
        if thread.name.startswith("aiopt") and not thread.name.startswith(_FOR_LIFE)
    }
