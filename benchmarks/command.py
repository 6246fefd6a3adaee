"""The command line that all benchmarks share."""

from __future__ import annotations

import argparse

from rich.console import Console

from benchmarks.machine import busy_warning, use_cores

_CORES = 2
ROUNDS = 5


def parser(description: str | None, *, images: int | None = None) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has.

    :param images: how many photographs are classified unless the user says otherwise; None: it takes none
    """
    result = argparse.ArgumentParser(description=description)
    if images is not None:
        result.add_argument("--images", type=int, default=images, help=f"photographs (default: {images})")
    result.add_argument(
        "--rounds", type=int, default=ROUNDS, help=f"measured runs after the warm-up (default: {ROUNDS})"
    )
    result.add_argument(
        "--minutes", type=float, help="stop after the last round that fits; the same command goes on later"
    )
    result.add_argument("--cores", type=int, default=_CORES, help=f"cores to use (default: {_CORES})")
    return result


def begin(cores: int) -> str | None:
    """Confine the benchmark to *cores* and return, and print, a warning where the machine is busy."""
    use_cores(cores)
    warning = busy_warning()
    if warning:
        Console(stderr=True).print(warning, style="bold yellow")
    return warning
