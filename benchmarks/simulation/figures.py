"""Predicted beside measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.table import Table

from airflow_provider_aiopt.simulation.engine import simulate
from airflow_provider_aiopt.simulation.estimates import Estimate, estimate
from airflow_provider_aiopt.simulation.service import Calibration
from airflow_provider_aiopt.simulation.trace import Arrival
from benchmarks.checks import Check, table
from benchmarks.simulation.configurations import Case

MEDIAN_ERROR = 0.10
WORST_ERROR = 0.25
_REPETITIONS = 40


@dataclass(frozen=True)
class Row:
    """One configuration.

    :param case: the configuration
    :param predicted: its makespan by simulation, made before it was measured
    :param measured_s: its makespans on a real Airflow
    """

    case: Case
    predicted: Estimate
    measured_s: tuple[float, ...]

    @property
    def error(self) -> float:
        """How far the prediction is off, as a share of the median of what was measured."""
        return abs(self.predicted.mean - median(self.measured_s)) / median(self.measured_s)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "configuration": self.case.name,
            "predicted_s": round(self.predicted.mean, 3),
            "measured_s": round(median(self.measured_s), 3),
            "error": round(self.error, 4),
            "predicted_interval_s": [round(self.predicted.low, 3), round(self.predicted.high, 3)],
            "measurements_s": [round(value, 3) for value in self.measured_s],
        }


def prediction(calibration: Calibration, case: Case, images: int, trigger_s: float) -> Estimate:
    """Return the makespan of a case by simulation.

    :param calibration: the pipeline's service times, from other runs than this case's
    :param images: photographs of each run
    :param trigger_s: what creating a run takes: so much later comes the next
    """
    arrivals = [Arrival(number * trigger_s, images) for number in range(case.runs)]
    configuration = case.configuration(calibration.cores)
    return estimate(
        [simulate(calibration, configuration, arrivals, seed=seed).makespan_s for seed in range(_REPETITIONS)]
    )


def checks(rows: Sequence[Row]) -> list[Check]:
    """Return the errors beside their targets."""
    errors = [row.error for row in rows]
    return [
        Check("median error of the predicted makespan", median(errors), MEDIAN_ERROR, at_most=True),
        Check("largest error", max(errors), WORST_ERROR, at_most=True),
    ]


def rows_table(rows: Sequence[Row]) -> Table:
    """Return predicted and measured makespans as a table."""
    cells = [
        (
            row.case.name,
            f"{row.predicted.mean:.2f}",
            f"{median(row.measured_s):.2f}",
            f"{min(row.measured_s):.2f} to {max(row.measured_s):.2f}",
            f"{row.predicted.mean / median(row.measured_s) - 1:+.1%}",
        )
        for row in rows
    ]
    return table("Simulation: makespan, s", ("", "predicted", "measured", "range", "error"), cells)
