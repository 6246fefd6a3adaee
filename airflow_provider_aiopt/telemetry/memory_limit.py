"""How much memory the process may have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_CGROUP = Path("/proc/self/cgroup")
_ROOT = Path("/sys/fs/cgroup")


def memory_limit() -> int:
    """Return the smallest limit that holds for the process, in bytes; 0 where none is known.

    It is that of the process's control group or of one above it (version 2), or else the machine's memory.
    The groups' limits count all their processes and the page cache, not this process alone.
    """
    return min(filter(None, [*_group_limits(), _machine_memory()]), default=0)


def _group_limits() -> Iterator[int]:
    try:
        lines = _CGROUP.read_text().splitlines()
    except OSError:  # not Linux
        return
    # Version 2 is the line with the number 0; in a container its path is "/", the root being the container's.
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
    if own is None:
        return
    group = _ROOT / own
    while group.is_relative_to(_ROOT):
        with suppress(OSError, ValueError):  # no such file, or the word "max"
            yield int((group / "memory.max").read_text())
        group = group.parent


def _machine_memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
