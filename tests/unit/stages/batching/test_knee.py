from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.stages.batching.knee import (
    TOLERANCE,
    KneeSearch,
    doubling_sizes,
    worth_measuring,
)

SIZES = (1, 2, 4, 8, 16, 32)


def searched(
    seconds: Mapping[int, float] | Callable[[int], float], *, room: int = 99, **bounds: float
) -> KneeSearch:
    """A search over a model whose calls take *seconds* and 10 bytes a row, on a device of *room* rows."""
    search = KneeSearch(SIZES, **bounds)
    duration = seconds.__getitem__ if isinstance(seconds, Mapping) else seconds
    while (size := search.next_size()) is not None:
        if size > room:
            search.stop("out_of_memory")
        else:
            search.record(size, duration(size), 10 * size)
    return search


def test_where_each_call_has_its_price_the_largest_is_taken() -> None:
    search = searched(lambda size: 10 + size / 100)
    assert (search.chosen, search.bound) == (32, "largest")


def test_where_size_brings_nothing_the_smallest_is_taken_and_little_is_measured() -> None:
    search = searched(float)
    assert (search.chosen, search.bound) == (1, "knee")
    assert sorted(search.throughput) == [1, 2, 4]


def test_the_knee_is_the_smallest_size_near_the_best() -> None:
    search = searched({1: 1, 2: 1.2, 4: 2, 8: 3.95, 16: 8})
    assert (search.chosen, search.bound) == (4, "knee")


def test_a_dip_does_not_end_the_search() -> None:
    assert searched({1: 1, 2: 3, 4: 2, 8: 2, 16: 2, 32: 2}).chosen == 32


def test_no_call_is_longer_than_the_latency_bound() -> None:
    search = searched(lambda size: 0.1 + size / 100, max_latency_s=0.15)
    assert (search.chosen, search.bound) == (4, "latency")


def test_the_memory_bound_is_not_even_tried() -> None:
    search = searched(lambda _: 1.0, max_bytes=85)
    assert (search.chosen, search.bound) == (8, "memory")
    assert max(search.throughput) == 8


def test_memory_that_runs_out_ends_the_search() -> None:
    search = searched(lambda _: 1.0, room=4)
    assert (search.chosen, search.bound) == (4, "out_of_memory")


def test_a_bound_that_nothing_keeps_leaves_the_smallest() -> None:
    assert searched(lambda _: 1.0, max_latency_s=0.5).chosen == 1


def test_where_nothing_ran_nothing_is_chosen() -> None:
    assert searched(lambda _: 1.0, room=0).chosen is None


@pytest.mark.parametrize("seconds", [0.0, 1e-12])
def test_a_clock_that_stands_still_does_no_harm(seconds: float) -> None:
    assert searched(lambda _: seconds).chosen in SIZES


@given(
    seconds=st.fixed_dictionaries({size: st.floats(0.001, 10) for size in SIZES}),
    max_latency_s=st.none() | st.floats(0.01, 10),
    max_bytes=st.none() | st.integers(1, 400),
)
def test_what_is_chosen_keeps_the_bounds_and_is_about_the_best_measured(
    seconds: dict[int, float], max_latency_s: float | None, max_bytes: int | None
) -> None:
    search = searched(seconds, max_latency_s=max_latency_s, max_bytes=max_bytes)
    allowed = [
        size for size in search.throughput if max_latency_s is None or seconds[size] <= max_latency_s
    ] or [SIZES[0]]
    assert search.chosen in allowed
    best = max(search.throughput[size] for size in allowed)
    assert search.throughput[search.chosen] >= (1 - TOLERANCE) * best
    assert all(max_bytes is None or 10 * size <= max_bytes for size in search.throughput if size != SIZES[0])


@pytest.mark.parametrize(("most", "sizes"), [(1, (1,)), (2, (1, 2)), (8, (1, 2, 4, 8)), (9, (1, 2, 4, 8, 9))])
def test_sizes_double_up_to_the_largest(most: int, sizes: tuple[int, ...]) -> None:
    assert doubling_sizes(most) == sizes


@pytest.mark.parametrize(("rows", "sizes"), [(1, (1,)), (3, (1, 2, 4)), (100, SIZES)])
def test_sizes_that_no_batch_fills_are_not_measured(rows: int, sizes: tuple[int, ...]) -> None:
    assert worth_measuring(SIZES, rows) == sizes


def test_one_size_is_measured_at_least() -> None:
    assert worth_measuring((8, 32), 2) == (8,)
