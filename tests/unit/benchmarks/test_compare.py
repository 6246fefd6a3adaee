from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.compare import checks, judged, trials, watched
from benchmarks.comparison_data import COLUMNS, RUNS, SYNTHETIC, data_sets, read_rounds

NORMAL = SYNTHETIC[0]


def test_a_large_difference_is_found_and_none_is_not() -> None:
    same, slower, faster = (trials(NORMAL, factor, 10, 0) for factor in (1.0, 1.3, 1 / 1.3))
    assert (slower["worse"], faster["better"]) == (1, 1)
    assert same["better"] + same["worse"] <= 0.1
    assert same["rounds"]["median"] >= 8


def test_the_same_seed_gives_the_same_figures() -> None:
    assert trials(NORMAL, 1.05, 5, 3) == trials(NORMAL, 1.05, 5, 3)


def test_figures_become_checks() -> None:
    found, watch = judged(NORMAL, 10, 0), watched(NORMAL, 50, 0)
    made = checks([found], [watch])
    assert [check.at_most for check in made] == [True, False, True, True]
    assert (watch["found_2"], watch["old_rule_found_2"]) == (1, 1)
    assert made[0].value == found["false_verdicts"]


def test_the_recorded_runs_are_whole_rounds() -> None:
    rounds = read_rounds(RUNS, "wall_s")
    assert rounds.shape[1] == 2
    assert len(rounds) >= 40
    assert (rounds > 0).all()


def test_a_round_that_was_broken_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    lines = [",".join(COLUMNS), "1,1,b,2,1,1", "1,2,a,3,1,1", "2,1,a,4,1,1"]
    path.write_text("\n".join(lines) + "\n")
    assert read_rounds(path, "wall_s").tolist() == [[3, 2]]


@pytest.mark.parametrize("data", data_sets(), ids=lambda data: data.name)
def test_the_two_runs_of_a_round_are_exchangeable(data: object) -> None:
    rounds = data.draw(np.random.default_rng(0), 400)  # type: ignore[attr-defined]
    assert rounds.shape == (400, 2)
    ahead = (rounds[:, 0] < rounds[:, 1]).mean()
    assert 0.4 < ahead < 0.6
