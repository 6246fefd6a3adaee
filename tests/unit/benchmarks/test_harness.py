from __future__ import annotations

import json
import math
import random

import pytest

from benchmarks import harness
from benchmarks.harness import (
    Run,
    System,
    agreement,
    growth_exponent,
    median_interval,
    peers_python,
    ratio,
    run_system,
    spread,
)


def test_spread_keeps_every_value():
    assert spread([3.0, 1.0, 8.0]) == {"median": 3.0, "min": 1.0, "max": 8.0, "values": [3.0, 1.0, 8.0]}


def test_ratio_pairs_runs_of_one_round():
    # The machine was half as fast in the second round; the ratio does not see it.
    assert ratio([200.0, 100.0], [100.0, 50.0])["values"] == [2.0, 2.0]


def test_ratio_refuses_runs_without_a_partner():
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("labels", "share"),
    [({"a": "cat", "b": "dog"}, 1.0), ({"a": "cat", "b": "cat"}, 0.5), ({"a": "cat"}, 0.5), ({}, 0.0)],
)
def test_agreement_counts_what_is_missing_as_different(labels, share):
    assert agreement(labels, {"a": "cat", "b": "dog"}) == share


@pytest.mark.parametrize(("costs", "exponent"), [([9, 1, 10], 1.0), ([9, 1, 100], 2.0), ([9, 5, 5], 0.0)])
def test_growth_exponent_is_that_of_the_largest_sizes(costs, exponent):
    assert growth_exponent([10, 100, 1000], costs) == pytest.approx(exponent)


def test_a_system_that_fails_is_named_with_what_it_said(tmp_path):
    with pytest.raises(RuntimeError, match=r"(?s)The system broken exited with 1.*No module named .*no_such"):
        run_system(System("broken", "no_such", "model"), tmp_path)


def test_a_run_reads_the_last_line(tmp_path, monkeypatch):
    answer = {"images": 10, "seconds": 2.0}
    done = harness.subprocess.CompletedProcess([], 0, stdout=f"noise\n{json.dumps(answer)}\n", stderr="")
    monkeypatch.setattr(harness.subprocess, "run", lambda *_, **__: done)

    run = run_system(System("a", "a", "model"), tmp_path)

    assert isinstance(run, Run)
    assert run.images_per_s == 5.0
    assert run.answer == answer


def test_the_interval_of_a_median_lies_between_sorted_values():
    # 40 values: 14 fall below the median with a chance of 4 %, 13 with 1.9 % on either side.
    assert median_interval(list(range(40))) == (13, 26)
    assert median_interval([3.0, 1.0, 2.0]) == (1.0, 3.0)
    assert median_interval([1.0]) == (1.0, 1.0)


def test_the_interval_holds_the_median_as_often_as_it_says():
    chance = random.Random(7)
    held = 0
    for _ in range(500):
        low, high = median_interval([chance.expovariate(1.0) for _ in range(30)])
        held += low <= math.log(2) <= high
    assert held >= 0.95 * 500


def test_a_system_runs_in_the_environment_that_has_what_it_imports(tmp_path, monkeypatch):
    commands = []

    def run(command, **_):
        commands.append(command)
        return harness.subprocess.CompletedProcess(
            command, 0, stdout='{"images": 1, "seconds": 1}', stderr=""
        )

    monkeypatch.setattr(harness.subprocess, "run", run)

    run_system(System("daft", "daft", "model", python="/peers/python"), tmp_path)

    assert commands[0][:3] == ["/peers/python", "-m", "benchmarks.systems.daft"]


def test_peers_that_are_not_installed_name_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "PEERS_PYTHON", tmp_path / "python")

    with pytest.raises(SystemExit, match="make install-peers"):
        peers_python()
