from __future__ import annotations

import subprocess

import pytest

from benchmarks import machine
from benchmarks.machine import CpuTimes


def test_shares_are_of_the_time_between():
    earlier, later = CpuTimes(busy=100, stolen=10, total=1000), CpuTimes(busy=150, stolen=30, total=1200)

    assert later.shares_since(earlier) == (0.25, 0.1)


def test_no_time_between_is_no_error():
    now = CpuTimes(busy=100, stolen=10, total=1000)

    assert now.shares_since(now) == (0.0, 0.0)


def test_the_kernel_counts_forward():
    first, second = CpuTimes.now(), CpuTimes.now()

    assert 0 < first.busy <= second.busy <= second.total
    assert second.stolen <= second.busy


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    git("init")
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    (tmp_path / "source.py").write_text("1\n")
    git("add", ".")
    git("commit", "-m", "first")
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    return tmp_path


def test_a_clean_checkout_has_no_changes_and_results_are_none(checkout):
    (checkout / "benchmarks" / "results" / "a.json").write_text("{}")

    assert machine.changes() == ""
    assert machine.surroundings()["dirty"] is False
    assert machine.code_state() == machine.surroundings()["commit"] != ""


def test_each_change_of_the_sources_is_another_state(checkout):
    states = [machine.code_state()]
    for text in ("2\n", "3\n"):
        (checkout / "source.py").write_text(text)
        states.append(machine.code_state())

    assert len(set(states)) == 3
    assert machine.surroundings()["dirty"] is True
