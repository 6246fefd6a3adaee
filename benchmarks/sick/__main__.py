"""``make bench-advisor``: plant an illness, let the advisor find and cure it, and measure what it promised.

Usage: ``python -m benchmarks.sick [--only NAME] [--rounds N]``.  It writes
``benchmarks/results/advisor.json``; with ``--only`` the rows of the others are kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from airflow_provider_aiopt.advisor.diagnosis import diagnose
from airflow_provider_aiopt.advisor.facts import Facts
from airflow_provider_aiopt.advisor.models import Diagnosis
from airflow_provider_aiopt.advisor.texts import explanation
from benchmarks.checks import table
from benchmarks.paths import CACHE, RESULTS
from benchmarks.sick.case import Illness
from benchmarks.sick.illnesses import ILLNESSES, by_name

CLOSE = 0.25
"""How far the measured gain may be from the predicted one, as a part of it."""

_ROUNDS = 3


@dataclass(frozen=True)
class Row:
    """An illness, what the advisor made of it, and what came of that.

    :param illness: what was planted
    :param found: the illness that the advisor's first recommendation is for; its rule where that is another
    :param predicted_gain: the gain that it predicted, median of the rounds
    :param measured_gain: the sick run's time over the cured one's, median of the rounds
    """

    illness: str
    found: str
    predicted_gain: float
    measured_gain: float

    @property
    def is_close(self) -> bool:
        """Whether the prediction was close enough."""
        return abs(self.measured_gain / self.predicted_gain - 1) <= CLOSE


def examine(illness: Illness, rounds: int, folder: Path, console: Console) -> Row:
    """Run an illness's pipeline, sick and cured, and return its row."""
    found: list[str] = []
    predicted: list[float] = []
    measured: list[float] = []
    notes = CACHE / "advisor" / illness.name.replace(" ", "-")
    notes.mkdir(parents=True, exist_ok=True)
    with illness.patient(folder) as patient:
        for number in range(1, rounds + 1):
            sick = patient.run()
            diagnosis = diagnose(sick)
            (notes / f"{number}-sick.json").write_text(sick.model_dump_json())
            (notes / f"{number}.txt").write_text(explanation(diagnosis))
            found.append(_name(diagnosis))
            if not diagnosis.recommendations:
                predicted.append(1.0)
                measured.append(1.0)
                continue
            first = diagnosis.recommendations[0]
            cured = patient.run(first.changes)
            (notes / f"{number}-cured.json").write_text(cured.model_dump_json())
            predicted.append(first.gain)
            measured.append(diagnosis.elapsed_s / Facts(cured).elapsed_s)
            console.print(
                f"{illness.name}, round {number}: {first.rule}, {'; '.join(map(str, first.changes))}; "
                f"predicted {first.gain:.2f}, measured {measured[-1]:.2f} "
                f"({diagnosis.elapsed_s:.2f} s -> {Facts(cured).elapsed_s:.2f} s)",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
    return Row(
        illness.name,
        Counter(found).most_common(1)[0][0],
        round(statistics.median(predicted), 3),
        round(statistics.median(measured), 3),
    )


def _name(diagnosis: Diagnosis) -> str:
    if not diagnosis.recommendations:
        return "nothing"
    rule = diagnosis.recommendations[0].rule
    return next((illness.name for illness in ILLNESSES if illness.rule == rule), rule)


def write(rows: Sequence[Row], path: Path) -> None:
    """Write rows in the order of the illnesses; those of other illnesses that the file has are kept."""
    kept = json.loads(path.read_text()) if path.exists() else []
    known = {row["illness"]: row for row in kept} | {row.illness: asdict(row) for row in rows}
    ordered = [known[illness.name] for illness in ILLNESSES if illness.name in known]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(ordered, indent=2) + "\n")


def main() -> None:
    """Examine the illnesses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="one illness; may be repeated")
    parser.add_argument(
        "--rounds", type=int, default=_ROUNDS, help=f"sick and cured runs of each (default: {_ROUNDS})"
    )
    parser.add_argument("--results", type=Path, default=RESULTS / "advisor.json", metavar="FILE")
    arguments = parser.parse_args()
    chosen = [by_name(name) for name in arguments.only] if arguments.only else list(ILLNESSES)
    console = Console(stderr=True)
    rows = []
    for illness in chosen:
        folder = Path(tempfile.mkdtemp(prefix="run-"))  # its name, which reports have in them, tells nothing
        try:
            rows.append(examine(illness, arguments.rounds, folder, console))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        write(rows, arguments.results)
    cells = [
        (
            row.illness,
            row.found,
            f"{row.predicted_gain:.2f}",
            f"{row.measured_gain:.2f}",
            "yes" if row.found == row.illness and row.is_close else "no",
        )
        for row in rows
    ]
    columns = ("illness", "found", "predicted", "measured", f"found, within {CLOSE:.0%}")
    Console().print(table("Advisor", columns, cells))


if __name__ == "__main__":
    main()
