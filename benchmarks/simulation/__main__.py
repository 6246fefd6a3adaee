"""Predict the makespan of configurations of a real Airflow by simulation, then measure them.

Service times come from one run of each DAG with one task at a time, which is none of the configurations.
All predictions are made and kept before the first configuration is measured.

Usage: ``python -m benchmarks.simulation``; about ten minutes, ``--quick`` two.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from airflow_provider_aiopt.simulation.calibration import calibrate
from airflow_provider_aiopt.simulation.estimates import Estimate
from airflow_provider_aiopt.simulation.service import Calibration
from benchmarks.checks import checks_table
from benchmarks.command import begin
from benchmarks.machine import surroundings
from benchmarks.paths import CACHE, RESULTS, TRIES
from benchmarks.photographs import photographs
from benchmarks.simulation.configurations import CALIBRATION, CASES, QUICK, WIDE, Airflow, Case
from benchmarks.simulation.figures import Row, checks, prediction, rows_table
from benchmarks.simulation.measure import Bench, Measured, bench

_IMAGES = 1000
_ROUNDS = 2
_CALIBRATION_ROUNDS = 3
_LEAST_WIDTH = 120


class Experiment:
    """Calibration, predictions, and measurements after these.

    :param folder: where Airflow keeps everything
    :param cases: what is predicted
    :param images: photographs of each run
    :param rounds: how often each is measured
    """

    def __init__(self, folder: Path, cases: Sequence[Case], images: int, rounds: int) -> None:
        self._folder = folder
        self._cases = cases
        self._count = images
        self._images = photographs(images)
        self._rounds = rounds
        self._console = Console(stderr=True)
        self.calibrations: dict[str, Calibration] = {}
        self._predicted: dict[Case, Estimate] = {}
        self._kept = 0

    def run(self) -> list[Row]:
        """Return all cases, predicted and measured."""
        measured: dict[Case, list[float]] = {case: [] for case in self._cases}
        for configured in dict.fromkeys([WIDE, *(case.airflow for case in self._cases)]):
            with bench(self._folder, configured) as running:
                self._warm_up(running, configured)
                if not self._predicted:
                    self._calibrate(running)
                here = [case for case in self._cases if case.airflow == configured]
                # In turns: what slows the machine for a while slows not one of them alone.
                for case in here * self._rounds:
                    measured[case].append(self._measure(running, case).makespan_s)
        return [Row(case, self._predicted[case], tuple(measured[case])) for case in self._cases]

    def _warm_up(self, running: Bench, configured: Airflow) -> None:
        for mode in dict.fromkeys(case.mode for case in (*CALIBRATION, *self._cases)):
            self._measure(running, Case(mode, configured, shards=configured.parallelism), " (warm-up)")

    def _calibrate(self, running: Bench) -> None:
        for case in CALIBRATION:
            done = [self._measure(running, case, " (calibration)") for _ in range(_CALIBRATION_ROUNDS)]
            self.calibrations[case.mode] = calibrate([report for item in done for report in item.reports])
        # How far apart this client creates runs is the load, and no part of the model.
        pair = Case("streaming", WIDE, shards=1, runs=2, pool_slots=1)
        trigger_s = self._measure(running, pair, " (time between two runs' creation)").trigger_s
        self._predicted = {
            case: prediction(self.calibrations[case.mode], case, self._count, trigger_s)
            for case in self._cases
        }
        kept = {case.name: item.mean for case, item in self._predicted.items()}
        (self._folder / "predicted.json").write_text(json.dumps(kept, indent=2) + "\n")

    def _measure(self, running: Bench, case: Case, remark: str = "") -> Measured:
        measured = running.measure(case, self._images)
        self._keep(case, measured)
        predicted = self._predicted.get(case)
        beside = f", predicted {predicted.mean:.2f} s" if predicted else ""
        self._console.print(f"{case.name}: {measured.makespan_s:.2f} s{beside}{remark}", highlight=False)
        return measured

    def _keep(self, case: Case, measured: Measured) -> None:
        """Keep the reports: where a prediction is off, they say which part of it."""
        self._kept += 1
        folder = self._folder / "reports" / f"{self._kept:03d} {case.name}"
        folder.mkdir(parents=True)
        for number, report in enumerate(measured.reports):
            (folder / f"{number}.json").write_text(report.model_dump_json(indent=2) + "\n")


def write(rows: Sequence[Row], calibrations: dict[str, Calibration], facts: dict[str, Any], to: Path) -> None:
    """Write the figures, and beside them the service times that they came from.

    :param to: the folder
    """
    to.mkdir(parents=True, exist_ok=True)
    values = [row.to_dict() | facts for row in rows]
    (to / "simulation.json").write_text(json.dumps(values, indent=2) + "\n")
    for mode, calibration in calibrations.items():
        (to / f"simulation_{mode}.json").write_text(calibration.model_dump_json(indent=2) + "\n")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="four configurations once, as a try")
    parser.add_argument("--images", type=int, default=_IMAGES, help="photographs of a run (default: 1000)")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="measurements of each (default: 2)")
    parser.add_argument("--cores", type=int, default=2, help="cores to use (default: 2)")
    options = parser.parse_args()
    warning = begin(options.cores)
    before = surroundings()
    folder = CACHE / "simulation"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    cases, rounds = (QUICK, 1) if options.quick else (CASES, options.rounds)
    experiment = Experiment(folder, cases, options.images, rounds)
    rows = experiment.run()
    facts = {"images": options.images, "warning": warning, **{key: before[key] for key in ("date", "commit")}}
    whole = not options.quick and options.rounds >= _ROUNDS and options.images >= _IMAGES
    to = RESULTS if whole else TRIES
    write(rows, experiment.calibrations, facts, to)
    console = Console()
    console.width = max(console.width, _LEAST_WIDTH)
    console.print(rows_table(rows))
    console.print(checks_table(checks(rows)))
    console.print(f"median error {median(row.error for row in rows):.1%}; results: {to}", soft_wrap=True)
    console.print(f"The runs' reports: {folder / 'reports'}", soft_wrap=True)


if __name__ == "__main__":
    main()
