"""Upload to event, run, first task and results, over this project's and Airflow's own ways, in turn.

Usage: ``python -m benchmarks.latency``.
"""

from __future__ import annotations

import argparse
import random
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

from rich.console import Console

from benchmarks.checks import conclude
from benchmarks.command import begin
from benchmarks.latency.configurations import CONFIGURATIONS
from benchmarks.latency.figures import Sample, checks, results, tables
from benchmarks.latency_systems import systems
from benchmarks.machine import surroundings
from benchmarks.paths import CACHE, RESULTS, TRIES

_UPLOADS = 20
_NAMES = {"postgresql": "latency", "sqlite": "latency_sqlite"}
_PACKAGES = ("apache-airflow-core", "apache-airflow-providers-standard", "asyncpg", "psycopg2-binary")
_BLOCKS = 2
_SEED = 4


def _arguments(names: Sequence[str]) -> argparse.Namespace:
    from local_airflow import Database

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--uploads", type=int, default=_UPLOADS, help="measured to each quick system")
    parser.add_argument("--blocks", type=int, default=_BLOCKS, help="how often the configurations take turns")
    parser.add_argument(
        "--database", choices=get_args(Database), default="postgresql", help="Airflow's database"
    )
    parser.add_argument("--configurations", nargs="+", choices=CONFIGURATIONS, default=list(CONFIGURATIONS))
    parser.add_argument("--systems", nargs="+", choices=names, default=list(names), metavar="NAME")
    parser.add_argument("--seed", type=int, default=_SEED, help="of the gaps and the order")
    parser.add_argument("--cores", type=int, default=2, help="cores to use")
    return parser.parse_args()


def _run(options: argparse.Namespace, folder: Path, console: Console) -> list[Sample]:
    from benchmarks.latency.measure import bench

    known = systems()
    chosen = [known[name] for name in options.systems]
    rng = random.Random(options.seed)  # noqa: S311  # no secret hangs on it
    samples: list[Sample] = []
    for block in range(options.blocks):
        # As even as can be: of 5 uploads in 2 blocks, 2 and 3.
        uploads = options.uploads * (block + 1) // options.blocks - options.uploads * block // options.blocks
        for configuration in options.configurations:
            console.rule(f"block {block + 1}: {configuration}", align="left")
            with bench(folder / configuration, configuration, chosen, options.database, rng) as running:
                for number in range(uploads + 1):
                    for sample in running.round():
                        _announce(console, sample, "" if number else " (warm-up)")
                        samples += [sample] if number else []
                for sample in running.rest():
                    _announce(console, sample, "")
                    samples.append(sample)
    return samples


def _announce(console: Console, sample: Sample, remark: str) -> None:
    results = "" if sample.to_results_s is None else f", {sample.to_results_s:.2f} s to results"
    console.print(f"{sample.label}: {sample.to_first_task_s:.2f} s{results}{remark}", highlight=False)


def _versions() -> dict[str, str]:
    return {name: version(name) for name in _PACKAGES}


def _folder(options: argparse.Namespace) -> Path:
    """Return where the figures go: of all systems with PostgreSQL, of those with a target with SQLite."""
    expected = {
        "postgresql": set(systems()),
        "sqlite": {name for name, system in systems().items() if system.sqlite_first_task_p95_s},
    }[options.database]
    whole = expected <= {*options.systems} and len(options.configurations) == len(CONFIGURATIONS)
    return RESULTS if whole and options.uploads >= _UPLOADS else TRIES


def main() -> None:
    """Run the benchmark."""
    known = systems()
    options = _arguments(list(known))
    warning = begin(options.cores)
    before = surroundings()
    # Left in place: whoever looks for what went wrong needs the logs.
    folder = CACHE / "latency"
    shutil.rmtree(folder, ignore_errors=True)
    samples = _run(options, folder, Console(stderr=True))
    figures = results(samples)
    values: dict[str, Any] = {
        **before,
        "warning": warning,
        "airflow_versions": _versions(),
        "database": options.database,
        "configurations": {name: CONFIGURATIONS[name] for name in options.configurations},
        "seed": options.seed,
        **figures,
        "uploads": [sample.to_dict() for sample in samples],
    }
    targets = checks(figures, known.values(), options.database)
    conclude(_NAMES[options.database], values, tables(samples, figures), targets, _folder(options))


if __name__ == "__main__":
    main()
