"""The package's threads that are running."""

from __future__ import annotations

import threading

_FOR_LIFE = "aiopt-process-starter"
"""Worker processes end with the thread that started them, so that thread stays as long as this process."""


def running_threads() -> set[threading.Thread]:
    """Those that whoever started them shall end."""
    return {
        thread
        for thread in threading.enumerate()
        if thread.name.startswith("aiopt") and not thread.name.startswith(_FOR_LIFE)
    }
