"""What the tests let worker processes call."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any


def ready() -> None:
    """Nothing to initialise."""


def double(value: int) -> int:
    return 2 * value


def pid(_: Any = None) -> int:
    return os.getpid()


def hold_the_interpreter() -> None:
    """Never return, and let no other thread of the process run."""
    ctypes.PyDLL(None).pause()


def misbehave(value: Any) -> Any:
    """Do what *value* says, or return it."""
    if value == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if value == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if value == "exit":
        os._exit(7)
    if value == "hang":
        hold_the_interpreter()
    if value == "raise":
        raise ZeroDivisionError("division by zero")
    if value == "unpicklable":
        return lambda: None
    return value


def meet(folder: str) -> None:
    """Wait for another process to come here."""
    Path(folder, str(os.getpid())).touch()
    deadline = time.monotonic() + 60
    while len(list(Path(folder).iterdir())) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def spin(seconds: float) -> None:
    """Use CPU time."""
    began = time.process_time()
    while time.process_time() - began < seconds:
        pass


def say(value: str) -> str:
    sys.stdout.write(f"{value}\n")
    sys.stdout.flush()
    return value


def dies() -> None:
    os._exit(3)


def raises() -> None:
    raise LookupError("nothing there")


def note_and_hang(file: str) -> None:
    Path(file).write_text(str(os.getpid()))
    hold_the_interpreter()


def parent(file: str, how: str) -> None:
    """A process that uses others, and is stopped in the midst of that."""
    from airflow_provider_aiopt.data.processes import LimitedProcesses

    pool = LimitedProcesses(2, limit_s=None, on_timeout=str, on_crash=str, initializer=ready)
    list(pool.map(double, [1, 2]))  # one stays idle, the other hangs
    hanging = threading.Thread(target=lambda: list(pool.map(note_and_hang, [file])), daemon=True)
    hanging.start()
    while not Path(file).exists() or not Path(file).read_text():
        time.sleep(0.01)
    if how == "exit":
        sys.exit(0)
    time.sleep(60)
