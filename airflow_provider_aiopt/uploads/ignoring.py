"""Names that are never uploads: hidden files, and what programs write before they rename it."""

from __future__ import annotations

_SUFFIXES = (
    "~",
    ".tmp",
    ".temp",
    ".part",
    ".partial",
    ".filepart",
    ".crdownload",
    ".download",
    ".opdownload",
    ".swp",
    ".lock",
)
_PREFIXES = (".", "~$")
_FOLDERS = frozenset({"_temporary", "_tmp", "_spark_metadata", "__MACOSX", "lost+found"})
_MARKERS = frozenset({"Thumbs.db", "desktop.ini", "_SUCCESS"})


def is_ignored(name: str) -> bool:
    """Whether a file is hidden or temporary, by its own name or a folder's that it lies in.

    :param name: its path below the watched folder
    """
    *folders, base = name.split("/")
    if base in _MARKERS or base.lower().endswith(_SUFFIXES) or base.startswith(_PREFIXES):
        return True
    return any(is_ignored_folder(folder) for folder in folders)


def is_ignored_folder(name: str) -> bool:
    """Whether a folder of that name, without its path, holds nothing but hidden or temporary files."""
    return name.startswith(".") or name in _FOLDERS
