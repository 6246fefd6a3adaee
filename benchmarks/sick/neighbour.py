"""Something else that runs on the machine and takes a core, until its standard input ends."""

from __future__ import annotations

import os
import sys
import threading


def main() -> None:
    """Burn a core."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    print("burning", flush=True)
    number = 1
    while True:
        number = number * 1103515245 % 2147483648 + 1


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
