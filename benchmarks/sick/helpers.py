"""Processes that stand beside a sick pipeline for a while."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.harness import ENVIRONMENT

_PATIENCE_S = 10.0


@contextmanager
def beside(module: str, *arguments: str) -> Iterator[str]:
    """Run a module of this package in a process of its own as long as the block lasts.

    :param module: its name
    :param arguments: its command line
    :returns: the first line that it prints
    """
    command = [sys.executable, "-m", f"benchmarks.sick.{module}", *arguments]
    with subprocess.Popen(
        command,
        env=os.environ | ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - for the types
            yield process.stdout.readline().strip()
            process.stdin.close()
            process.wait(_PATIENCE_S)
        finally:
            process.kill()
