"""``make bench-tune``: from a bad configuration to the best of a grid, in a fifth of the grid's time.

The grid is measured whole, once.  Then the tuner searches it with several seeds, each time from the bad
configuration and with a fifth of the grid's time for everything, measuring again included.  In the end the
grid's best three and what the tuner chose are measured in turn: the tuner's share is its rate over the best
of those three.  Usage: ``python -m benchmarks.tuning [--quick]``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from airflow_provider_aiopt.data.folder import resolve_filesystem
from airflow_provider_aiopt.tuning.attempt import Measuring
from airflow_provider_aiopt.tuning.confirming import confirm
from airflow_provider_aiopt.tuning.machine import this_machine
from airflow_provider_aiopt.tuning.measuring import MeasuringPlan
from airflow_provider_aiopt.tuning.models import Limits, Rounds, Trial, TuneReport
from airflow_provider_aiopt.tuning.options import Options
from airflow_provider_aiopt.tuning.rendering import configuration_text
from airflow_provider_aiopt.tuning.search import Tuner
from airflow_provider_aiopt.tuning.space import build_space
from airflow_provider_aiopt.tuning.works import Works
from benchmarks.checks import Check, conclude, table
from benchmarks.command import begin
from benchmarks.machine import surroundings
from benchmarks.paths import RESULTS, ROOT, TRIES
from benchmarks.tuning.figure import draw
from benchmarks.tuning.grid import FULL, RECORDS, SMALL, Point, bad_pipeline, measure_grid, ranked

SHARE, TIME = 0.95, 0.20
_CORES = 2
_COLD = "no guesses"
_BEST = 3
_MARGIN = 0.95
"""Of its part of the grid's time that the tuner is given: what its last rounds take is estimated."""
_FINAL = Rounds(rounds=8, round_s=1.5)


def main() -> None:
    """Measure."""
    arguments = _arguments()
    warning = begin(_CORES)
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    folder = Path(tempfile.mkdtemp(prefix="tune-"))
    part = 0.6 if arguments.quick else TIME  # of so small a grid a fifth is no search
    try:
        points, grid_s, runs, final = _measure(arguments, part, folder, console)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    shares = {name: final[_key(_chosen(report))]["share"] for name, report in runs.items()}
    times = {name: report.seconds / grid_s for name, report in runs.items()}
    rows: list[tuple[str, ...]] = [
        (
            name,
            f"{len(report.trials)} of {len(points)}",
            configuration_text(_chosen(report)),
            f"{shares[name]:.3f}",
            f"{times[name]:.3f}",
        )
        for name, report in runs.items()
    ]
    values = {
        **surroundings(),
        "warnings": [warning] if warning else [],
        "grid_s": grid_s,
        "grid": [point.to_dict() for point in points],
        "final": list(final.values()),
        "searches": [
            {
                "search": name,
                "share": shares[name],
                "time_share": times[name],
                "chosen": _chosen(report),
                "report": report.model_dump(mode="json"),
            }
            for name, report in runs.items()
        ],
    }
    judged = [name for name in runs if not name.endswith(_COLD)]  # aiopt tune as it is
    checks = [
        Check("least share of the grid's best", min(shares[name] for name in judged), SHARE),
        Check("largest share of the grid's time", max(times[name] for name in judged), part, at_most=True),
    ]
    target = TRIES if arguments.quick else RESULTS
    columns = ("search", "tried", "chosen", "share of the best", "of the grid's time")
    conclude("tune", values, [table("Tuning", columns, rows)], checks, target)
    draw(values, runs, target / "tune.png" if arguments.quick else ROOT / "docs" / "images" / "tune.png")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="searches that begin with guesses (default: 3)")
    parser.add_argument("--cold", type=int, default=1, help="searches that do not (default: 1)")
    parser.add_argument(
        "--quick", action="store_true", help="a small grid, to see that it works; kept with the tries"
    )
    return parser.parse_args()


def _measure(
    arguments: argparse.Namespace, part: float, folder: Path, console: Console
) -> tuple[list[Point], float, dict[str, TuneReport], dict[str, dict[str, Any]]]:
    """Measure the grid, search it, and measure the best of both in turn."""
    spec = bad_pipeline()
    only = SMALL if arguments.quick else FULL
    works = Works(spec, folder / "final", records=RECORDS)
    space = build_space(spec, this_machine(spec), works.sample, only=only)
    measuring = Measuring("throughput", Limits(), plan=MeasuringPlan(most=6))

    def say(number: int, point: Point) -> None:
        rate = "failed" if point.items_per_s is None else f"{point.items_per_s:.1f} images/s"
        console.print(f"grid {number}/{space.size}: {rate}, {configuration_text(point.configuration)}")

    points, grid_s = measure_grid(spec, space, measuring, folder / "grid", say)
    options = Options(budget_s=_MARGIN * part * grid_s, records=RECORDS, only=only)
    searches = {f"seed {seed}": replace(options, seed=seed) for seed in range(arguments.seeds)}
    searches |= {
        f"seed {seed}, {_COLD}": replace(options, seed=seed, guess=False) for seed in range(arguments.cold)
    }
    runs: dict[str, TuneReport] = {}
    for name, item in searches.items():
        report = _search(item, measuring, folder / name.replace(" ", "-"))
        runs[name] = report
        chosen = configuration_text(_chosen(report))
        console.print(f"{name}: {len(report.trials)} trials in {report.seconds:.0f} s, {chosen}")
    return points, grid_s, runs, _final(works, ranked(points)[:_BEST], runs, console)


def _search(options: Options, measuring: Measuring, home: Path) -> TuneReport:
    spec = bad_pipeline()
    tuner = Tuner(spec, this_machine(spec), measuring, Rounds(), options, folder=home / "work")
    return tuner.run(home / "study.journal")


def _chosen(report: TuneReport) -> dict[str, Any]:
    """Return what the tuner recommends; the bad configuration where it recommends no change."""
    return dict(report.best.configuration if report.best else report.baseline.configuration)


def _final(
    works: Works, best: Sequence[Point], runs: Mapping[str, TuneReport], console: Console
) -> dict[str, dict[str, Any]]:
    """Measure the grid's best and the searches' choices in turn; by configuration, the share of the best."""
    wanted = {_key(point.configuration): point.configuration for point in best}
    of_grid = list(wanted)
    wanted |= {_key(chosen): chosen for chosen in map(_chosen, runs.values())}
    first, *others = wanted.values()
    result = confirm(
        works.make(first),
        [(_as_trial(number, item), works.make(item)) for number, item in enumerate(others, start=1)],
        _FINAL,
        objective="throughput",
        limits=Limits(),
        resolver=resolve_filesystem,
        stall_s=60.0,
        on_round=lambda number, rounds: console.print(f"final round {number}/{rounds}"),
    )
    if result.dropped:
        raise SystemExit(f"Configurations failed when they were measured again: {dict(result.dropped)}")
    ratios = {_key(first): 1.0} | {_key(item.configuration): item.metric.ratio for item in result.finalists}
    top = max(ratios[key] for key in of_grid)
    metrics = {_key(item.configuration): item.metric.model_dump() for item in result.finalists}
    return {
        key: {
            "configuration": configuration,
            "of_grid": key in of_grid,
            "share": ratios[key] / top,
            "beside_first": metrics.get(key),
        }
        for key, configuration in wanted.items()
    }


def _as_trial(number: int, configuration: dict[str, Any]) -> Trial:
    return Trial(
        number=number,
        origin="search",
        configuration=configuration,
        outcome="complete",
        seconds=0.0,
        ended_s=0.0,
    )


def _key(configuration: Mapping[str, Any]) -> str:
    return json.dumps(dict(configuration), sort_keys=True)


if __name__ == "__main__":
    main()
