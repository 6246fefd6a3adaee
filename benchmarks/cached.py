"""The second run over the same images: streaming from the cache of prepared records, beside inference alone.

Inference alone is as many threads as there are cores, each in single-threaded ``session.run`` calls of the
same size, on inputs that lie normalised in memory.  Usage: ``python -m benchmarks.cached``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.checks import Check, table
from benchmarks.command import parser
from benchmarks.harness import Run, System, ratio, run_system, spread
from benchmarks.models import fp32_model
from benchmarks.photographs import photographs
from benchmarks.session import Session

CACHED = "streaming_cached"
DECODING = "streaming_decoding"
ALONE = "inference_alone"
LEAST = 0.95
BATCH_SIZE = 8
"""Of the systems alike; on a CPU small calls are the fastest."""

Runs = Mapping[str, Sequence[Run]]


def systems(fp32: str, cache: str) -> list[System]:
    """Return what is compared, in the order of a round.

    :param fp32: the FP32 model's folder
    :param cache: the folder of prepared records
    """
    size = {"batch_size": BATCH_SIZE}
    return [
        System(ALONE, "inference", fp32, size),
        System(CACHED, "streaming", fp32, size | {"cache": cache}),
        System(DECODING, "streaming", fp32, size),
    ]


def check_hits(run: Run) -> None:
    """Check that no record was decoded.

    :raises SystemExit: if one was
    """
    found, images = run.answer["stages"]["preprocess"]["cache_hits"], run.answer["images"]
    if found != images:
        raise SystemExit(f"The cache knew {found} of {images} records; is the disk full?")


def results(runs: Runs) -> dict[str, Any]:
    """Return the figures as plain values."""
    rates = {name: [run.images_per_s for run in done] for name, done in runs.items()}
    cpu = {
        name: [run.answer["cpu_s"] / run.answer["images"] * 1e3 for run in done]
        for name, done in runs.items()
    }
    return {
        "images_per_s": {name: spread(values) for name, values in rates.items()},
        "cpu_ms_per_image": {name: spread(values) for name, values in cpu.items()},
        "over_inference_alone": {name: ratio(values, rates[ALONE]) for name, values in rates.items()},
    }


def checks(figures: Mapping[str, Any]) -> list[Check]:
    """Return the ratio beside its target."""
    return [Check(f"{CACHED} / {ALONE}", figures["over_inference_alone"][CACHED]["median"], LEAST)]


def _table(figures: Mapping[str, Any]) -> Table:
    rows = [
        (
            name,
            *(f"{rate[key]:.1f}" for key in ("median", "min", "max")),
            f"{figures['cpu_ms_per_image'][name]['median']:.2f}",
            f"{figures['over_inference_alone'][name]['median']:.3f}",
        )
        for name, rate in figures["images_per_s"].items()
    ]
    columns = ("images/s", "median", "min", "max", "CPU ms an image", "over inference alone")
    return table("Second run, from the cache", columns, rows)


def main() -> None:
    """Run the benchmark."""
    arguments = parser(__doc__, images=2000).parse_args()
    session = Session.begin("cached", arguments)
    console = Console(stderr=True)
    folder, fp32 = photographs(arguments.images), fp32_model()

    def announce(number: int, name: str, run: Run) -> None:
        console.print(f"round {number}: {name} {run.images_per_s:.1f} images/s", highlight=False)

    with tempfile.TemporaryDirectory() as cache:
        contest = {system.name: system for system in systems(fp32, cache)}
        run_system(contest[CACHED], folder)  # fills the cache

        def run(name: str) -> Run:
            result = run_system(contest[name], folder)
            if name == CACHED:
                check_hits(result)
            return result

        runs = session.interleave(
            list(contest),
            run,
            rounds=arguments.rounds,
            on_run=announce,
            decode=lambda values: Run(**values),
        )
    figures = results(runs)
    values = {"images": arguments.images, "batch_size": BATCH_SIZE, **figures}
    session.conclude(values, [_table(figures)], checks(figures))


if __name__ == "__main__":
    main()
