"""Components that a machine may lack: the tests that need one are skipped, and the run says so at its end.

``AIOPT_REQUIRE_ALL=1`` turns every skip into a failure: so CI proves that nothing was left out.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

PREFIX = "component absent: "
REQUIRE_ALL = "AIOPT_REQUIRE_ALL"
CACHE = Path(__file__).resolve().parents[1] / ".cache"
"""Where components that are built or fetched are kept from one run of the tests to the next."""


def all_required() -> bool:
    """Whether a skipped test counts as a failure."""
    return os.environ.get(REQUIRE_ALL) == "1"


def skip_absent(component: str, how: str) -> None:
    """Skip the running test, or the module being collected, for want of *component*.

    :param component: what is absent
    :param how: how to get it
    """
    pytest.skip(f"{PREFIX}{component}: {how}", allow_module_level=True)


def requires(module: str, how: str) -> None:
    """Skip unless the Python module *module* is installed."""
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # not even the package that it lies in
        found = None
    if found is None:
        skip_absent(module, how)


def requires_program(name: str, how: str) -> str:
    """Return the path of the program *name*, or skip."""
    path = shutil.which(name)
    if path is None:
        skip_absent(name, how)
    return str(path)


@contextmanager
def alone(component: str) -> Iterator[None]:
    """Let one process at a time build *component*: the tests run in several."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{component}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def requires_success(component: str, command: Sequence[str], how: str, *, cwd: Path | None = None) -> None:
    """Skip unless *command* runs and exits with 0: for what is installed but may be forbidden.

    :param cwd: the folder it runs in
    """
    requires_program(command[0], how)
    if subprocess.run(command, capture_output=True, check=False, cwd=cwd).returncode:
        skip_absent(component, how)
