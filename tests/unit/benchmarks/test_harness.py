from __future__ import annotations

import json

import pytest

from benchmarks import harness
from benchmarks.harness import Run, System, agreement, growth_exponent, interleave, ratio, run_system, spread


def test_interleave_takes_turns_and_drops_the_warm_up():
    calls = []

    def run(name: str) -> str:
        calls.append(name)
        return f"{name}{len(calls)}"

    results = interleave(["a", "b", "c"], run, rounds=2)

    assert calls == ["a", "b", "c"] * 3
    assert results == {"a": ["a4", "a7"], "b": ["b5", "b8"], "c": ["c6", "c9"]}


def test_interleave_announces_the_warm_up_as_round_0():
    heard = []

    interleave(["a"], str.upper, rounds=1, on_run=lambda *heard_now: heard.append(heard_now))

    assert heard == [(0, "a", "A"), (1, "a", "A")]


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
