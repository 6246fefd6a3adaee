"""The kernel's small files, read without raising: what is absent or forbidden is not known."""

from __future__ import annotations

import os

_CHUNK = 65536


def read_file(path: str) -> bytes | None:
    """Return what a file of ``/proc`` or ``/sys`` holds, None where it cannot be read.

    It takes the descriptor itself: a sample reads dozens of files, and this costs a third of
    :meth:`pathlib.Path.read_bytes`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        content = b""
        while chunk := os.read(descriptor, _CHUNK):
            content += chunk
    except OSError:  # a process that has ended meanwhile
        return None
    finally:
        os.close(descriptor)
    return content


def list_folder(path: str) -> list[str]:
    """Return the names in a folder, none where it cannot be read."""
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []
