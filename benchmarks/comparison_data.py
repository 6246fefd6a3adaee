"""Run times to test the comparison with: measured ones, and others that are made up.

A data set gives rounds of two runs of one pipeline.  What is measured lies in ``results/compare-runs.csv``:
a line for each run, as recorded, with its round and its place within it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.compare.planning import run_order
from airflow_provider_aiopt.compare.running import Bench, Variant
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.spec import load_spec
from benchmarks.paths import RESULTS

if TYPE_CHECKING:
    import numpy as np

RUNS = RESULTS / "compare-runs.csv"
COLUMNS = ("round", "place", "pipeline", "wall_s", "preprocess_s", "inference_s")
PIPELINES = ("a", "b")
"""Two names of one pipeline."""

Rounds = Any
"""An array of seconds, ``[round, 2]``."""


@dataclass(frozen=True)
class DataSet:
    """Where the rounds of a trial come from.

    :param name: what it is called
    :param about: what is special about it
    :param draw: draws so many rounds of a trial with a random generator; the two columns are exchangeable
    """

    name: str
    about: str
    draw: Callable[[np.random.Generator, int], Rounds]


def record(photographs: Path, rounds: int, to: Path, *, work_dir: Path) -> None:
    """Run one pipeline against itself, in rounds, and write the times down as they come.

    :param photographs: the source
    :param rounds: how many
    :param to: the CSV file
    :param work_dir: keeps the runs
    """
    spec = load_spec(
        {
            "name": "compare",
            "source": {"uri": str(photographs), "pattern": ["*.jpg"]},
            "model": {"uri": "builtin:efficientnet-lite0-int8"},
        }
    )
    variants = {name: Variant(name, spec) for name in PIPELINES}
    bench = Bench(Folder.open(str(work_dir)))
    bench.warm_up(variants["a"])
    to.parent.mkdir(parents=True, exist_ok=True)
    with to.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number, order in enumerate(run_order(PIPELINES, rounds, seed=0), start=1):
            for place, name in enumerate(order, start=1):
                report = bench.run(variants[name], f"round-{number:03d}")
                stages = {stage.stage: stage.duration_s for stage in report.stages}
                seconds = (report.wall_s, stages["preprocess"], stages["inference"])
                writer.writerow([number, place, name, *(f"{value:.6f}" for value in seconds)])
                stream.flush()


def data_sets(path: Path = RUNS) -> list[DataSet]:
    """Return all of them.

    :param path: the measured runs
    """
    measured = [
        DataSet(f"measured {column.removesuffix('_s')}", about, _measured(read_rounds(path, column)))
        for column, about in (
            ("wall_s", "whole runs, rounds in random order"),
            ("inference_s", "the inference stage of the same runs"),
        )
    ]
    stretches = DataSet(
        "measured stretches",
        "whole runs, rounds as they followed each other",
        _stretches(read_rounds(path, "wall_s")),
    )
    return [*measured, stretches, *SYNTHETIC]


def read_rounds(path: Path, column: str) -> Rounds:
    """Read measured rounds.

    :param path: the CSV file
    :param column: which time
    :returns: seconds of the two runs, ``[round, 2]``
    """
    import numpy as np

    with path.open(newline="") as stream:
        rows: Sequence[Mapping[str, str]] = list(csv.DictReader(stream))
    by_round: dict[int, dict[str, float]] = {}
    for row in rows:
        by_round.setdefault(int(row["round"]), {})[row["pipeline"]] = float(row[column])
    whole: Iterable[dict[str, float]] = (found for found in by_round.values() if len(found) == len(PIPELINES))
    return np.array([[found[name] for name in PIPELINES] for found in whole])


def _measured(rounds: Rounds) -> Callable[[np.random.Generator, int], Rounds]:
    def draw(rng: np.random.Generator, count: int) -> Rounds:
        return _swapped(rng, rounds[rng.integers(len(rounds), size=count)])

    return draw


def _stretches(rounds: Rounds) -> Callable[[np.random.Generator, int], Rounds]:
    def draw(rng: np.random.Generator, count: int) -> Rounds:
        import numpy as np

        return _swapped(rng, rounds[(rng.integers(len(rounds)) + np.arange(count)) % len(rounds)])

    return draw


def _swapped(rng: np.random.Generator, rounds: Rounds) -> Rounds:
    """Swap the two runs of a round at random: of one pipeline, they are exchangeable."""
    swap = rng.random(len(rounds)) < 0.5  # noqa: PLR2004 - as often as not
    found = rounds.copy()
    found[swap] = found[swap, ::-1]
    return found


def _normal(rng: np.random.Generator, count: int) -> Rounds:
    import numpy as np

    return np.exp(rng.normal(0, 0.05, (count, 2)))


def _skewed(rng: np.random.Generator, count: int) -> Rounds:
    return 1 + rng.exponential(0.15, (count, 2))


def _bimodal(rng: np.random.Generator, count: int) -> Rounds:
    import numpy as np

    slow = rng.random((count, 2)) < 0.2  # noqa: PLR2004 - one run in five is slow
    return np.exp(rng.normal(0, 0.03, (count, 2))) * np.where(slow, 1.5, 1.0)


def _drifting(rng: np.random.Generator, count: int) -> Rounds:
    import numpy as np

    trend = np.arange(count)[:, None] * np.log(2) / 40
    return np.exp(trend + rng.normal(0, 0.05, (count, 2)))


def _shared(rng: np.random.Generator, count: int) -> Rounds:
    import numpy as np

    return np.exp(rng.normal(0, 0.2, (count, 1)) + rng.normal(0, 0.05, (count, 2)))


SYNTHETIC = (
    DataSet("normal", "logarithms normal, 5 %", _normal),
    DataSet("skewed", "a floor, and an exponential tail of 15 %", _skewed),
    DataSet("bimodal", "3 %, and one run in five takes half as long again", _bimodal),
    DataSet("drifting", "5 %, and twice as slow after every 40 rounds", _drifting),
    DataSet("noisy rounds", "5 %, and 20 % that both runs of a round share", _shared),
)
"""Those that are made up."""
