"""Where tables are printed."""

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
