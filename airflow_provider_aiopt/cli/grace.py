"""A bound on how long a process takes to end once it is told to."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_aiopt.cli.exit_codes import ExitCode, complain

GRACE_S = 8.0
"""Seconds that an orderly end may take: below the ten that container engines wait before they kill."""

_STOP = b"\0"  # no signal has this number


@contextmanager
def ended_in_time(grace_s: float = GRACE_S) -> Iterator[None]:
    """End the process *grace_s* seconds after SIGTERM, if it has not ended by itself.

    SIGTERM unwinds the thread that works, which cannot be done while that is in a call of a library, such as
    a model that loads, nor while it waits for a read that hangs.  What is on storage by then is whole, as
    after ``kill -9``: the next attempt goes on after the last finished shard.  The bound holds until the very
    end, so it also covers threads that the interpreter waits for.

    Outside the main thread it does nothing, for there signals are somebody else's.

    :param grace_s: seconds
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    # The interpreter writes each signal's number at once, whatever the main thread is doing.
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    told, idle = threading.Event(), threading.Event()
    watch = threading.Thread(
        target=_watch, args=(reader, grace_s, told, idle), name="aiopt-grace", daemon=True
    )
    watch.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.write(writer, _STOP)
        idle.wait()  # the watch reads in order: a signal that came before is not missed
        if not told.is_set():
            watch.join()
            os.close(reader)
            os.close(writer)


def _watch(reader: int, grace_s: float, told: threading.Event, idle: threading.Event) -> None:
    while (number := os.read(reader, 1)) != _STOP:
        if number[0] == signal.SIGTERM:
            told.set()
            idle.set()
            threading.Event().wait(grace_s)
            complain(f"not ended {grace_s:g} s after SIGTERM: ending now; another attempt goes on from here")
            os._exit(ExitCode.TERMINATED)
    idle.set()
