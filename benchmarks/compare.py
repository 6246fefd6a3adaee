"""Whether the verdicts of ``aiopt compare`` can be relied on: thousands of comparisons whose truth is known.

A trial is a whole ``aiopt compare --rounds auto``: eight rounds, as many more as these say are needed, the
verdict.  Its rounds are drawn from measured runs of one pipeline against itself and from made-up
distributions; a true difference is made by multiplying one of the two.  The rule that marks changed stages is
judged with the same data.

Usage: ``python -m benchmarks.compare``, which takes the runs in ``results/compare-runs.csv`` that
``--record ROUNDS`` measured.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from airflow_provider_aiopt.compare.comparing import judge
from airflow_provider_aiopt.compare.models import Settings
from airflow_provider_aiopt.compare.planning import PILOT_ROUNDS, next_rounds, rounds_to_find
from airflow_provider_aiopt.compare.statistics import Samples, rank_test, ratio
from airflow_provider_aiopt.telemetry.trend import MAX_EARLIER_RUNS, MIN_EARLIER_RUNS, change_of, percentile
from benchmarks.checks import Check, conclude, table
from benchmarks.comparison_data import RUNS, DataSet, data_sets, record
from benchmarks.machine import surroundings
from benchmarks.paths import RESULTS, TRIES
from benchmarks.photographs import photographs

if TYPE_CHECKING:
    import numpy as np

TRIALS = 1000
MOST_FALSE = 0.05
LEAST_POWER = 0.80
MOST_ROUNDS = 1000
EFFECT = 0.10
THRESHOLD = 0.05
IMAGES = 60

_OLD_FACTOR = 1.5


def trial(
    data: DataSet, factor: float, rng: np.random.Generator, settings: Settings
) -> tuple[str, int, bool]:
    """Compare two pipelines that differ by *factor*.

    :returns: the verdict, the rounds that it took, and whether the interval holds the factor
    """
    rounds = data.draw(rng, MOST_ROUNDS)
    done, wanted = 0, PILOT_ROUNDS
    while done < wanted:
        done = wanted
        samples = Samples(tuple(rounds[:done, 0]), tuple(factor * rounds[:done, 1]), paired=True)
        found = ratio(samples, confidence=1 - settings.alpha, seed=settings.seed)
        wanted = next_rounds(done, rounds_to_find(samples, found, settings), MOST_ROUNDS)
    verdict = judge(found, rank_test(samples), settings)
    return verdict, done, found.low <= factor <= found.high


def trials(data: DataSet, factor: float, count: int, seed: int) -> dict[str, Any]:
    """Return how *count* trials ended, as shares, with the rounds that they took."""
    import numpy as np

    rng = np.random.default_rng([seed, round(factor * 1000)])
    ends = [
        trial(data, factor, rng, Settings(threshold=THRESHOLD, effect=EFFECT, seed=number))
        for number in range(count)
    ]
    verdicts = Counter(verdict for verdict, _, _ in ends)
    rounds = sorted(taken for _, taken, _ in ends)
    return {
        "factor": factor,
        **{
            verdict: verdicts[verdict] / count
            for verdict in ("better", "worse", "equivalent", "inconclusive")
        },
        "coverage": sum(held for _, _, held in ends) / count,
        "rounds": {"median": rounds[count // 2], "p90": rounds[int(0.9 * count)]},
    }


def judged(data: DataSet, count: int, seed: int) -> dict[str, Any]:
    """Return the error rates and the power of the comparison with one data set."""
    same = trials(data, 1.0, count, seed)
    slower, faster, at_threshold = (
        trials(data, factor, count // 2, seed) for factor in (1 + EFFECT, 1 / (1 + EFFECT), 1 + THRESHOLD)
    )
    return {
        "data": data.name,
        "about": data.about,
        "false_verdicts": same["better"] + same["worse"],
        "power": min(slower["worse"], faster["better"]),
        "wrong_direction": slower["better"] + faster["worse"],
        "false_equivalence": at_threshold["equivalent"],
        "coverage": min(item["coverage"] for item in (same, slower, faster, at_threshold)),
        "rounds": same["rounds"],
        "trials": [same, slower, faster, at_threshold],
    }


def watched(data: DataSet, count: int, seed: int) -> dict[str, Any]:
    """Return how often the regression watch marks runs that differ by a factor from those before."""
    import numpy as np

    rng = np.random.default_rng([seed, 7])
    histories = [data.draw(rng, MAX_EARLIER_RUNS + 1)[:, 0] for _ in range(count)]

    def marked(length: int, factor: float) -> float:
        return (
            sum(
                change_of(factor * runs[length], list(runs[:length]))
                == ("faster" if factor < 1 else "slower")
                for runs in histories
            )
            / count
        )

    def either(length: int) -> float:
        return sum(change_of(runs[length], list(runs[:length])) is not None for runs in histories) / count

    def old(factor: float) -> float:
        return (
            sum(
                _old_rule(factor * runs[MAX_EARLIER_RUNS], list(runs[:MAX_EARLIER_RUNS]))
                for runs in histories
            )
            / count
        )

    return {
        "data": data.name,
        "false_marks_of_20": either(MAX_EARLIER_RUNS),
        "false_marks_of_8": either(MIN_EARLIER_RUNS),
        "found_1_3": marked(MAX_EARLIER_RUNS, 1.3),
        "found_1_5": marked(MAX_EARLIER_RUNS, 1.5),
        "found_2": marked(MAX_EARLIER_RUNS, 2.0),
        "old_rule_false_marks": old(1.0),
        "old_rule_found_1_5": old(1.5),
        "old_rule_found_2": old(2.0),
    }


def _old_rule(latest: float, earlier: Sequence[float]) -> bool:
    """Return what the UI marked before: above the p95 of the earlier runs and 1.5 times their median."""
    return latest > percentile(earlier, 95) and latest > _OLD_FACTOR * percentile(earlier, 50)


def _work(place: int, *, count: int, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Judge one data set, in a process of its own."""
    data = data_sets()[place]
    return judged(data, count, seed), watched(data, count, seed)


def checks(found: Sequence[dict[str, Any]], watch: Sequence[dict[str, Any]]) -> list[Check]:
    """Return the worst of all data sets beside the targets."""
    return [
        Check(
            "false verdicts, A against A, worst data set",
            max(item["false_verdicts"] for item in found),
            MOST_FALSE,
            at_most=True,
        ),
        Check(
            f"power for {EFFECT:.0%} at the recommended rounds, worst data set",
            min(item["power"] for item in found),
            LEAST_POWER,
        ),
        Check(
            f"false equivalence at a difference of {THRESHOLD:.0%}, worst data set",
            max(item["false_equivalence"] for item in found),
            MOST_FALSE,
            at_most=True,
        ),
        Check(
            "false marks of the regression watch after 20 runs, worst data set",
            max(item["false_marks_of_20"] for item in watch),
            MOST_FALSE,
            at_most=True,
        ),
    ]


def _verdict_table(found: Sequence[dict[str, Any]]) -> Table:
    return table(
        f"Comparisons with a threshold of {THRESHOLD:.0%}",
        ("data", "false verdicts", f"power, {EFFECT:.0%}", "false equivalence", "coverage", "rounds", "p90"),
        [
            (
                item["data"],
                *(f"{item[key]:.1%}" for key in ("false_verdicts", "power", "false_equivalence", "coverage")),
                str(item["rounds"]["median"]),
                str(item["rounds"]["p90"]),
            )
            for item in found
        ],
    )


def _watch_table(watch: Sequence[dict[str, Any]]) -> Table:
    keys = [key for key in watch[0] if key != "data"]
    rows = [(item["data"], *(f"{item[key]:.1%}" for key in keys)) for item in watch]
    return table("Regression watch", ("data", *(key.replace("_", " ") for key in keys)), rows)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--trials",
        type=int,
        default=TRIALS,
        help=f"of a pipeline against itself, and half as many of each difference (default: {TRIALS})",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the trials (default: 0)")
    parser.add_argument("--nice", type=int, default=0, help="leave the processor to others (default: 0)")
    parser.add_argument("--record", type=int, metavar="ROUNDS", help="measure so many rounds anew, first")
    arguments = parser.parse_args()
    if arguments.record:
        work_dir = Path(tempfile.mkdtemp(prefix="aiopt-compare-"))
        record(photographs(IMAGES), arguments.record, RUNS, work_dir=work_dir)
        shutil.rmtree(work_dir)
    console, found, watch = Console(stderr=True), [], []
    sets = range(len(data_sets()))
    with ProcessPoolExecutor(len(sets), initializer=os.nice, initargs=(arguments.nice,)) as processes:
        work = partial(_work, count=arguments.trials, seed=arguments.seed)
        for last, marks in processes.map(work, sets):
            found.append(last)
            watch.append(marks)
            said = f"{last['data']}: false {last['false_verdicts']:.1%}, power {last['power']:.1%}"
            console.print(said, highlight=False)
    settings = {"trials": arguments.trials, "threshold": THRESHOLD, "effect": EFFECT, "seed": arguments.seed}
    conclude(
        "compare",
        {**surroundings(), **settings, "most_rounds": MOST_ROUNDS, "verdicts": found, "watch": watch},
        [_verdict_table(found), _watch_table(watch)],
        checks(found, watch),
        RESULTS if arguments.trials >= TRIALS else TRIES,
    )


if __name__ == "__main__":
    main()
