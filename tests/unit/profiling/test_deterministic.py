from __future__ import annotations

import pstats
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_aiopt.profiling import deterministic
from airflow_provider_aiopt.profiling.base import ProfileRequest
from airflow_provider_aiopt.profiling.deterministic import CProfiler, call_cost
from airflow_provider_aiopt.profiling.python_profile import PythonProfile
from airflow_provider_aiopt.telemetry.hardware.sampler import THREAD

THREADS = 3
CALLS = 50


def worked() -> None:
    for _ in range(CALLS):
        step()


def step() -> int:
    return len("x" * 10)


def run_threads(name: str = "worker") -> None:
    threads = [threading.Thread(target=worked, name=name) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def profile_of(folder: Path, work: Any) -> tuple[CProfiler, Any, dict[str, tuple[int, set[str]]]]:
    """Profile *work*; returns the profiler, its facts, and for each function calls and callers."""
    profiler = CProfiler(ProfileRequest("cprofile"))
    profiler.start()
    profiler.begin()
    try:
        work()
    finally:
        profiler.end()
    facts = profiler.write(folder)
    statistics: Any = pstats.Stats(str(folder / "profile.prof"))
    calls = {
        function[2]: (entry[1], {caller[2] for caller in entry[4]})
        for function, entry in statistics.stats.items()
    }
    return profiler, facts, calls


@pytest.fixture(params=["of this Python", "pure Python"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of profiling a thread; from Python 3.12 on they are the same."""
    if request.param == "pure Python":
        monkeypatch.setattr(deterministic, "thread_profile", PythonProfile)
    return str(request.param)


def test_calls_of_all_threads_are_counted(engine: str, tmp_path: Path) -> None:
    _, facts, calls = profile_of(tmp_path, lambda: (worked(), run_threads()))
    assert calls["step"] == ((THREADS + 1) * CALLS, {"worked"})
    assert calls["worked"][0] == THREADS + 1
    assert facts["threads"] == THREADS + 1
    assert "<built-in method builtins.len>" in calls


def test_nothing_stays_hooked_in(engine: str, tmp_path: Path) -> None:
    profile_of(tmp_path, run_threads)
    assert threading.getprofile() is None
    assert sys.getprofile() is None


def test_a_thread_that_outlives_the_stage_harms_nobody(engine: str, tmp_path: Path) -> None:
    release, inside = threading.Event(), threading.Event()

    def stuck() -> None:
        worked()
        inside.set()
        release.wait(20)

    thread = threading.Thread(target=stuck, daemon=True)

    def work() -> None:
        thread.start()
        assert inside.wait(20)

    try:
        _, _, calls = profile_of(tmp_path, work)
    finally:
        release.set()
        thread.join()
    assert calls["step"][0] == CALLS


def test_the_hardwares_sampler_is_left_alone(tmp_path: Path) -> None:
    _, facts, calls = profile_of(tmp_path, lambda: run_threads(THREAD))
    assert facts["threads"] == 1
    assert "step" not in calls


def test_the_table_has_the_most_expensive_calls_and_the_graph_their_names(tmp_path: Path) -> None:
    profile_of(tmp_path, run_threads)
    table = (tmp_path / "profile.txt").read_text()
    assert "cumulative" in table
    assert len([line for line in table.splitlines() if line.strip()[:1].isdigit()]) <= 31
    assert "worked (profiling/test_deterministic.py:" in (tmp_path / "flamegraph.svg").read_text()


def test_the_overhead_grows_with_the_calls(tmp_path: Path) -> None:
    few = profile_of(tmp_path, worked)[0].overhead()
    many = profile_of(tmp_path, lambda: [worked() for _ in range(200)])[0].overhead()
    assert many.seconds > 20 * few.seconds > 0
    assert many.low <= many.share <= many.high


def test_a_call_costs_more_the_more_functions_there_are() -> None:
    cost = call_cost()
    assert 0 <= cost.low < cost.usual < cost.high < 1e-4
