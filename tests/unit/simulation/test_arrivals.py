from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.exceptions import SimulationError
from airflow_provider_aiopt.simulation.arrivals import Batching, Load, parse_rate, read_times, runs_of
from airflow_provider_aiopt.uploads.offers import MicroBatcher

DAY_S = 86400


@pytest.mark.parametrize(
    ("text", "per_s"),
    [
        ("5/s", 5.0),
        ("10_000_000/day", 10_000_000 / DAY_S),
        ("90,000 / hour", 25.0),
        ("1.5e3/min", 25.0),
    ],
)
def test_rates(text: str, per_s: float) -> None:
    assert parse_rate(text) == pytest.approx(per_s)


@pytest.mark.parametrize("text", ["", "5", "0/s", "-1/s", "5/fortnight", "x/s", "/s", "1e999x/s"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(SimulationError, match="no rate of arrivals"):
        parse_rate(text)


def times(load: Load, until_s: float, seed: int = 1) -> list[float]:
    return load.times(until_s, random.Random(seed))


@pytest.mark.parametrize("pattern", ["poisson", "constant", "bursts"])
def test_patterns_have_the_rate_that_was_asked_for(pattern: str) -> None:
    found = times(Load(10.0, pattern, burst=5), 4000.0)

    assert len(found) == pytest.approx(40_000, rel=0.03)
    assert found == sorted(found)
    assert 0 <= found[0] <= found[-1] < 4000


def test_constant_arrivals_are_equally_far_apart() -> None:
    assert times(Load(4.0, "constant"), 1.0) == [0.0, 0.25, 0.5, 0.75]


def test_poisson_gaps_vary_as_much_as_they_last() -> None:
    found = times(Load(10.0), 2000.0)
    gaps = [later - earlier for earlier, later in pairwise(found)]
    mean = sum(gaps) / len(gaps)

    assert sum((gap - mean) ** 2 for gap in gaps) / len(gaps) == pytest.approx(mean**2, rel=0.05)


def test_bursts_come_at_once() -> None:
    found = times(Load(10.0, "bursts", burst=50), 100.0)

    assert {found.count(moment) for moment in found} == {50}


def test_a_day_is_simulated_at_its_peak() -> None:
    assert len(times(Load(1.0, "daily", peak=1.8), 3600.0)) == pytest.approx(1.8 * 3600, rel=0.05)
    assert len(times(Load(1.0, "daily", peak=1.8), float(DAY_S))) == pytest.approx(DAY_S, rel=0.02)


@given(
    st.lists(st.integers(0, 500).map(lambda value: value / 10), min_size=1, max_size=40).map(sorted),
    st.integers(0, 50).map(lambda value: value / 10),
    st.integers(1, 8),
)
def test_runs_are_those_of_the_trigger(moments: list[float], window_s: float, max_batch: int) -> None:
    made = runs_of(moments, Batching(window_s, max_batch, event_s=0.25))

    assert [list(found) for _, found in made] == by_the_trigger(moments, window_s, max_batch)
    assert all(run.items == len(found) for run, found in made)
    assert all(found[-1] <= run.at_s - 0.25 + 1e-9 for run, found in made)
    assert all(run.at_s - 0.25 <= found[0] + window_s + 1e-9 for run, found in made)


def by_the_trigger(moments: list[float], window_s: float, max_batch: int) -> list[list[float]]:
    """Let the trigger's own batcher collect uploads, which it is told of as they come."""
    batcher, found = MicroBatcher(window_s=window_s, max_batch=max_batch), []

    def cut(now: float, *, before: bool) -> None:
        while (due := batcher.next_cut()) is not None and (due < now if before else due <= now):
            found.append([upload.seen_at for upload in batcher.cut(due)])

    for number, moment in enumerate(moments):
        cut(moment, before=True)
        batcher.add(Upload(f"file:///{number}", 1, "1", moment), moment)
        if len(batcher) >= max_batch:
            found.append([upload.seen_at for upload in batcher.cut(moment)])
    cut(float("inf"), before=True)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "100.5\n103\n101\n",
        "2026-11-01T00:00:03+00:00\n2026-11-01T00:00:00.5+00:00\n2026-11-01T00:00:01+00:00\n",
        "uri,seen_at\na,100.5\nb,103\nc,101\n",
        "time,uri\n100.5,a\n\n101,b\n103,c\n",
    ],
)
def test_times_of_real_uploads(tmp_path: Path, text: str) -> None:
    path = tmp_path / "uploads.csv"
    path.write_text(text)

    assert read_times(path) == [0.0, 0.5, 2.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 times"),
        ("5\n", "1 times"),
        ("5\n5\n", "two that differ"),
        ("5\nnoon\n", "'noon' where a time is expected"),
        ("uri,time\na\n", "'' where a time is expected"),
    ],
)
def test_what_is_no_file_of_times(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "uploads.csv"
    path.write_text(text)

    with pytest.raises(SimulationError, match=message):
        read_times(path)


def test_a_missing_file_of_times(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="cannot be read"):
        read_times(tmp_path / "none.csv")
