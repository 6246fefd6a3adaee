from __future__ import annotations

import json

import pytest

from benchmarks import session as sessions
from benchmarks.harness import Run
from benchmarks.session import UNFINISHED, Session


@pytest.fixture(autouse=True)
def _folders(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(sessions, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(sessions, "TRIES", tmp_path / "tries")
    monkeypatch.setattr(sessions, "code_state", lambda: "code 1")


@pytest.fixture
def calls(monkeypatch):
    """What was run; the clock goes on by a minute with each."""
    done: list[str] = []
    monkeypatch.setattr(sessions.time, "monotonic", lambda: 60.0 * len(done))
    return done


def runner(calls):
    def run(name: str) -> str:
        calls.append(name)
        return f"{name}{len(calls)}"

    return run


def test_interleave_takes_turns_and_drops_the_warm_up(calls):
    results = Session("a", {}).interleave(["a", "b", "c"], runner(calls), rounds=2)

    assert calls == ["a", "b", "c"] * 3
    assert results == {"a": ["a4", "a7"], "b": ["b5", "b8"], "c": ["c6", "c9"]}


def test_interleave_announces_the_warm_up_as_round_0():
    heard = []

    Session("a", {}).interleave(["a"], str.upper, rounds=1, on_run=lambda *now: heard.append(now))

    assert heard == [(0, "a", "A"), (1, "a", "A")]


def test_pieces_give_the_rounds_of_one_go(calls):
    for _ in range(2):  # a round takes two minutes
        with pytest.raises(SystemExit) as stopped:
            Session("a", {}, minutes=5).interleave(["a", "b"], runner(calls), rounds=5)
        assert stopped.value.code == UNFINISHED
    assert len(calls) == 8

    results = Session("a", {}, minutes=5).interleave(["a", "b"], runner(calls), rounds=5)

    assert results == {"a": ["a3", "a5", "a7", "a9", "a11"], "b": ["b4", "b6", "b8", "b10", "b12"]}


def test_a_piece_that_is_too_short_for_a_round_does_one(calls):
    with pytest.raises(SystemExit):
        Session("a", {}, minutes=0.1).interleave(["a", "b"], runner(calls), rounds=5)

    assert calls == ["a", "b"]


def test_a_round_that_was_broken_off_is_done_again(calls):
    def breaks(name: str) -> str:
        calls.append(name)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return name

    with pytest.raises(KeyboardInterrupt):
        Session("a", {}).interleave(["a", "b"], breaks, rounds=1)
    Session("a", {}).interleave(["a", "b"], breaks, rounds=1)

    assert calls == ["a", "b"] * 3


@pytest.mark.parametrize("change", ["code", "settings"])
def test_what_was_measured_of_something_else_is_dropped(calls, monkeypatch, change):
    with pytest.raises(SystemExit):
        Session("a", {"images": 1}, minutes=0.1).interleave(["a"], runner(calls), rounds=1)
    if change == "code":
        monkeypatch.setattr(sessions, "code_state", lambda: "code 2")

    again = Session("a", {"images": 2 if change == "settings" else 1})
    again.interleave(["a"], runner(calls), rounds=1)

    assert calls == ["a"] * 3


def test_what_is_made_once_is_kept_for_the_other_pieces(calls):
    made = [Session("a", {}).once("options", lambda: {"n": len(calls)})]
    calls.append("a")
    made.append(Session("a", {}).once("options", lambda: {"n": len(calls)}))

    assert made == [{"n": 0}, {"n": 0}]


def test_runs_are_read_back(calls):
    def run(name: str) -> Run:
        calls.append(name)
        return Run(2.0, 1.0, {"images": 4})

    results = Session("a", {}).interleave(["a"], run, rounds=1, decode=lambda values: Run(**values))

    assert results == {"a": [Run(2.0, 1.0, {"images": 4})]}


def test_the_result_says_what_each_round_met(calls, tmp_path):
    first = Session("a", {}, warning="busy")
    first.interleave(["a"], runner(calls), rounds=2)

    path = first.conclude({"figure": 1}, [], [])

    assert path == tmp_path / "results" / "a.json"
    content = json.loads(path.read_text())
    assert content["figure"] == 1
    assert content["warnings"] == ["busy"]
    assert content["dirty"] in (True, False)
    assert [set(one) for one in content["rounds"]] == [
        {"date", "seconds", "load_average", "stolen_share"}
    ] * 2
    assert Session("a", {}).interleave(["a"], runner(calls), rounds=0) == {"a": []}
    assert len(calls) == 4, "a concluded benchmark begins anew"


@pytest.mark.parametrize(("trial", "keep"), [(True, True), (False, False)])
def test_a_try_leaves_the_result_alone(tmp_path, trial, keep):
    path = Session("a", {}, trial=trial).conclude({}, [], [], keep=keep)

    assert path == tmp_path / "tries" / "a.json"
