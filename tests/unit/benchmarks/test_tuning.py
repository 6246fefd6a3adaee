from __future__ import annotations

from benchmarks.tuning.figure import random_search
from benchmarks.tuning.grid import FULL, SMALL, Point, ranked


def test_the_curve_of_a_random_order_ends_at_the_best() -> None:
    grid = [{"items_per_s": rate} for rate in (10.0, None, 30.0, 20.0)]
    curve = random_search(grid)
    assert [time for time, _ in curve] == [0.25, 0.5, 0.75, 1.0]
    rates = [rate for _, rate in curve]
    assert rates == sorted(rates)
    assert (rates[0] <= 20.0, rates[-1]) == (True, 30.0)


def test_what_failed_is_not_among_the_best() -> None:
    points = [Point({"x": number}, rate, 0.01, 1.0) for number, rate in enumerate((10.0, None, 30.0))]
    assert [point.configuration["x"] for point in ranked(points)] == [2, 0]


def test_the_small_grid_is_a_part_of_the_full_one() -> None:
    assert SMALL.keys() == FULL.keys()
    assert all(set(values) <= set(FULL[key]) for key, values in SMALL.items())
