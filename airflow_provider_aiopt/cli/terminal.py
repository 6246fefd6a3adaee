"""What is printed for people, and where."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH = 200


def stdout_console() -> Console:
    """Return the console that writes to standard output."""
    from rich.console import Console

    # A file or pipe has no width of its own: do not cut the columns to an assumed terminal.
    return Console(width=None if sys.stdout.isatty() else _WIDTH)


def one_line(text: str) -> str:
    """Show what would break the line or steer the terminal, newlines among it, as escapes."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
