"""Running the command line in processes that are killed, or held, just before a chosen change to a file.

The processes are forked from one that has everything imported already, so that a test can afford many.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from threads import running_threads

from airflow_provider_aiopt.cli.main import main

_PRELOADED = [
    "airflow_provider_aiopt.runner.staged",
    "airflow_provider_aiopt.runner.streaming",
    "fsspec.implementations.local",
    "numpy",
    "onnxruntime",
    "PIL.Image",
    "pyarrow.parquet",
    "pytest",
    "yaml",
]

THREADS_LEFT = 99
"""Exit code of a process that ended with threads of the package still there."""

Change = tuple[str, str]
"""An event of Python's audit table and the path that it is about."""


# Starting a process asks after all others as well, and an exit code can be read once: of two threads that ask
# at the same moment one would be told 255.
_asking = threading.Lock()


def server() -> ForkServerContext:
    """The server that forks the processes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def start(target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """Start a process."""
    process = server().Process(target=target, args=arguments)
    with _asking:
        process.start()
    return process


def finish(process: ForkServerProcess) -> int:
    """Wait for a process and return its exit code: the negative number of the signal where it was killed."""
    assert wait([process.sentinel], 60), "the process hangs"
    with _asking:
        process.join()
        code = process.exitcode
        process.close()
    assert code is not None
    return code


def run(arguments: list[str]) -> None:
    """Run the command line."""
    with Path(os.devnull).open("w") as nowhere:
        sys.stdout = nowhere
        sys.exit(main(arguments))


def run_and_note(arguments: list[str], folder: str, notes: str) -> None:
    """Run the command line and write each change below *folder* to the file *notes*."""
    changes: list[Change] = []
    _on_change(folder, changes.append)
    try:
        run(arguments)
    finally:
        Path(notes).write_text("\n".join(f"{event} {path}" for event, path in changes), encoding="utf-8")


def run_until(arguments: list[str], folder: str, number: int) -> None:
    """Run the command line and be killed before change *number* below *folder*."""
    call_until(run, (arguments,), folder, number)


def call_until(target: Callable[..., None], arguments: tuple[Any, ...], folder: str, number: int) -> None:
    """Call *target* and be killed before change *number* below *folder*, if it comes to that."""
    left = number

    def count(_: Change) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    _on_change(folder, count)
    target(*arguments)


def run_until_told(arguments: list[str], folder: str, number: int, told: signal.Signals) -> None:
    """Run the command line and be sent the signal *told* before change *number* below *folder*.

    The process must end of itself, with no thread of the package left.
    """
    left = number

    def count(_: Change) -> None:
        nonlocal left
        left -= 1
        if left == -1:  # once: what is raised here is cleaned up after with further changes
            os.kill(os.getpid(), told)

    _on_change(folder, count)
    with Path(os.devnull).open("w") as nowhere:
        sys.stdout = sys.stderr = nowhere
        code = main(arguments)
    sys.exit(THREADS_LEFT if running_threads() else code)


def run_until_file(arguments: list[str], file: str) -> None:
    """Run the command line and be killed before *file* gets its name."""

    def kill(change: Change) -> None:
        if change == ("os.rename", file):
            os.kill(os.getpid(), signal.SIGKILL)

    _on_change(file, kill)
    run(arguments)


def run_held(
    target: Callable[..., None], arguments: tuple[Any, ...], file: str, held: Event, go_on: Event
) -> None:
    """Call *target*, but hold it before *file* gets its name until *go_on* is set."""

    def hold(change: Change) -> None:
        if change == ("os.rename", file) and not held.is_set():
            held.set()
            assert go_on.wait(30)

    _on_change(file, hold)
    target(*arguments)


def _on_change(folder: str, act: Callable[[Change], None]) -> None:
    """Call *act* before each change that others see: a file below *folder* gets its name, or is removed."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.rename":
            path = os.fspath(arguments[1])
        elif event == "os.remove":
            path = arguments[0]
        else:
            return
        if isinstance(path, str) and path.startswith(folder):
            act((event, path))

    sys.addaudithook(hook)
