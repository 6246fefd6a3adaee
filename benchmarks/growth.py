"""How the cost of book-keeping grows: listing, manifest and quarantine for up to 1,000,000 object names.

Usage: ``python -m benchmarks.growth``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.checks import Check, table
from benchmarks.command import parser
from benchmarks.harness import ENVIRONMENT, growth_exponent, spread
from benchmarks.session import Session

SIZES = (10_000, 100_000, 1_000_000)
MOST_SECONDS = 60.0
MOST_GIB = 1.0
MOST_EXPONENT = 1.1
"""Linear, with room for what a run of 100,000 names costs once."""

_GIB = 1024**3

Answers = Mapping[str, Sequence[Mapping[str, Any]]]


def run_names(count: int) -> dict[str, Any]:
    """Keep the books of *count* names in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.systems.names", str(count)]
    done = subprocess.run(
        command, env=os.environ | ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def results(answers: Answers) -> dict[str, Any]:
    """Return the figures by number of names."""
    return {
        size: {
            "seconds": spread([answer["seconds"] for answer in done]),
            "peak_memory_gib": spread([answer["peak_memory_bytes"] / _GIB for answer in done]),
        }
        for size, done in answers.items()
    }


def checks(figures: Mapping[str, Any]) -> list[Check]:
    """Return the growth, and the figures of the largest size, beside their targets."""
    sizes = sorted(figures, key=int)
    medians = [figures[size]["seconds"]["median"] for size in sizes]
    largest = figures[sizes[-1]]
    exponent = growth_exponent([int(size) for size in sizes], medians)
    return [
        Check("exponent of the growth of time", exponent, MOST_EXPONENT, at_most=True),
        Check(f"seconds for {int(sizes[-1]):,} names", medians[-1], MOST_SECONDS, at_most=True),
        Check("peak memory, GiB", largest["peak_memory_gib"]["median"], MOST_GIB, at_most=True),
    ]


def _table(figures: Mapping[str, Any]) -> Table:
    rows = [
        (
            f"{int(size):,}",
            f"{found['seconds']['median']:.2f}",
            f"{found['seconds']['min']:.2f}",
            f"{found['seconds']['max']:.2f}",
            f"{found['seconds']['median'] / int(size) * 1e6:.1f}",
            f"{found['peak_memory_gib']['median']:.3f}",
        )
        for size, found in figures.items()
    ]
    return table("Growth", ("names", "seconds", "min", "max", "us a name", "peak GiB"), rows)


def main() -> None:
    """Run the benchmark."""
    arguments = parser(__doc__).parse_args()
    session = Session.begin("growth", arguments)
    console = Console(stderr=True)

    def announce(number: int, size: str, answer: Mapping[str, Any]) -> None:
        console.print(f"round {number}: {int(size):,} names in {answer['seconds']:.2f} s", highlight=False)

    answers = session.interleave(
        [str(size) for size in SIZES],
        lambda size: run_names(int(size)),
        rounds=arguments.rounds,
        on_run=announce,
    )
    figures = results(answers)
    session.conclude({"sizes": figures}, [_table(figures)], checks(figures))


if __name__ == "__main__":
    main()
