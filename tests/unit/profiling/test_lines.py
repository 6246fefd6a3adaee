from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sample_profiled
from components import requires

from airflow_provider_aiopt.exceptions import MissingExtraError, ProfilingError
from airflow_provider_aiopt.profiling.base import ProfileRequest
from airflow_provider_aiopt.profiling.lines import LineStageProfiler

requires("line_profiler", "uv pip install --group test")


def request(*functions: str, stage: str | None = None) -> ProfileRequest:
    return ProfileRequest("line", stage, functions, ("sample_profiled",))


def profile(folder: Path, asked: ProfileRequest, work: Any, *subjects: Any) -> tuple[LineStageProfiler, Any]:
    """Profile *work*; returns the profiler and the hits of each line of each function."""
    profiler = LineStageProfiler(asked)
    profiler.start()
    try:
        profiler.begin()
        profiler.subjects("preprocess", *subjects)
        work()
    finally:
        profiler.end()
    profiler.write(folder)
    timings = profiler._profiler.get_stats().timings
    return profiler, {
        key[2].rpartition(".")[2]: [hits for _, hits, _ in lines] for key, lines in timings.items()
    }


def test_every_other_call_of_a_named_function_is_timed(tmp_path: Path) -> None:
    def work() -> None:
        assert [sample_profiled.doubled(number) for number in range(100)] == list(range(0, 200, 2))

    profiler, hits = profile(tmp_path, request("sample_profiled.doubled"), work)
    assert hits == {"doubled": [50, 50, 50]}
    assert profiler.overhead() is not None
    assert "twice += number + number" in (tmp_path / "profile.txt").read_text()
    assert (tmp_path / "profile.lprof").stat().st_size > 0


def test_calls_within_a_timed_call_are_timed_with_it(tmp_path: Path) -> None:
    adder = sample_profiled.Adder()
    _, hits = profile(tmp_path, request(), lambda: [adder.add(1, 2) for _ in range(10)], adder)
    assert hits["add"] == [5]
    assert hits["_checked"] == [5, 5]


def test_a_generator_is_timed_whenever_it_goes_on(tmp_path: Path) -> None:
    def work() -> None:
        assert list(sample_profiled.counted(20)) == list(range(0, 40, 2))

    _, hits = profile(tmp_path, request("sample_profiled"), work)
    assert 8 <= hits["doubled"][0] <= 12


def test_a_generator_that_is_left_early_is_closed() -> None:
    profiler = LineStageProfiler(request("sample_profiled.counted"))
    profiler.start()
    try:
        generator: Any = sample_profiled.counted(20)
        assert next(generator) == 0
        generator.close()
        with pytest.raises(StopIteration):
            next(generator)
    finally:
        profiler.end()


def test_all_threads_are_timed(tmp_path: Path) -> None:
    def work() -> None:
        with ThreadPoolExecutor(3) as pool:
            assert sum(pool.map(sample_profiled.doubled, range(90))) == 90 * 89

    _, hits = profile(tmp_path, request("sample_profiled.doubled"), work)
    assert hits["doubled"] == [45, 45, 45]


def test_errors_pass_through_and_functions_come_back(tmp_path: Path) -> None:
    before = sample_profiled.Adder.add
    adder = sample_profiled.Adder()

    def work() -> None:
        for _ in range(4):
            with pytest.raises(ValueError, match="-1"):
                adder.add(-2, 1)

    profile(tmp_path, request("sample_profiled.Adder.add"), work)
    assert sample_profiled.Adder.add is before


@pytest.mark.parametrize(("stage", "expected"), [("preprocess", True), (None, True), ("inference", False)])
def test_only_the_stage_that_is_asked_for_is_watched(
    stage: str | None, expected: bool, tmp_path: Path
) -> None:
    adder = sample_profiled.Adder()

    def work() -> None:
        for _ in range(4):
            adder.add(1, 1)

    if expected:
        assert "add" in profile(tmp_path, request(stage=stage), work, adder)[1]
    else:
        with pytest.raises(ProfilingError, match="None of the functions was called twice"):
            profile(tmp_path, request(stage=stage), work, adder)


def test_named_functions_come_instead_of_the_stages_own(tmp_path: Path) -> None:
    adder = sample_profiled.Adder()

    def work() -> None:
        for _ in range(4):
            adder.add(1, 1)
            sample_profiled.doubled(1)

    assert set(profile(tmp_path, request("sample_profiled.doubled"), work, adder)[1]) == {"doubled"}


def test_without_line_profiler_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "line_profiler", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'airflow-provider-aiopt\[profiling\]'"):
        LineStageProfiler(request()).start()
