"""Peak memory of streaming: the same whether there are 2,000 images or 50,000.

The 50,000 are 2,000 files under 25 names each, read like files of their own.  A round takes about as long as
52,000 images do; ``--minutes 9`` does one round or two at a time.  Usage: ``python -m benchmarks.memory``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.checks import Check, table
from benchmarks.command import parser
from benchmarks.harness import Run, System, run_system, spread
from benchmarks.models import fp32_model
from benchmarks.photographs import photographs
from benchmarks.session import Session

FEW = 2000
MANY = 50_000
MOST_GROWTH = 1.1
MOST_GIB = 1.2

_GIB = 1024**3


def results(runs: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """Return the peaks by number of images, in GiB."""
    return {
        count: spread([run.answer["peak_memory_bytes"] / _GIB for run in done])
        for count, done in runs.items()
    }


def checks(figures: Mapping[str, Any]) -> list[Check]:
    """Return the growth and the greatest peak beside their targets."""
    few, many = (figures[count] for count in sorted(figures, key=int))
    return [
        Check("growth of the median peak", many["median"] / few["median"], MOST_GROWTH, at_most=True),
        Check("greatest peak, GiB", max(few["max"], many["max"]), MOST_GIB, at_most=True),
    ]


def _table(figures: Mapping[str, Any]) -> Table:
    rows = [
        (f"{int(count):,}", *(f"{peak[key]:.3f}" for key in ("median", "min", "max")))
        for count, peak in figures.items()
    ]
    return table("Peak memory of streaming, GiB", ("images", "median", "min", "max"), rows)


def main() -> None:
    """Run the benchmark."""
    arguments = parser(__doc__, images=MANY).parse_args()
    session = Session.begin("memory", arguments)
    console = Console(stderr=True)
    folders = {str(count): photographs(count) for count in (FEW, arguments.images)}
    system = System("streaming_fp32", "streaming", fp32_model())

    def announce(number: int, count: str, run: Run) -> None:
        peak = run.answer["peak_memory_bytes"] / _GIB
        console.print(f"round {number}: {int(count):,} images, {peak:.3f} GiB", highlight=False)

    runs = session.interleave(
        list(folders),
        lambda count: run_system(system, folders[count]),
        rounds=arguments.rounds,
        on_run=announce,
        decode=lambda values: Run(**values),
    )
    figures = results(runs)
    session.conclude({"peak_memory_gib": figures}, [_table(figures)], checks(figures))


if __name__ == "__main__":
    main()
