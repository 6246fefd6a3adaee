from __future__ import annotations

import math

import pytest

from airflow_provider_aiopt.simulation.estimates import Estimate, estimate, quantile, student


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (10, 2.2281), (100, 1.9840)],
)
def test_students_quantiles_are_those_of_the_tables(degrees: int, expected: float) -> None:
    assert student(0.95, degrees) == pytest.approx(expected, rel=0.01)


def test_an_estimate_has_students_interval() -> None:
    found = estimate([1.0, 2.0, 3.0])

    assert found.mean == 2.0
    assert found.high - found.mean == pytest.approx(4.3027 / math.sqrt(3), rel=1e-3)
    assert found.mean - found.low == pytest.approx(found.high - found.mean)


@pytest.mark.parametrize("values", [[4.0], [math.inf, 1.0]])
def test_what_has_no_interval(values: list[float]) -> None:
    assert estimate(values) == Estimate(max(values), max(values), max(values))


@pytest.mark.parametrize(("share", "expected"), [(0.5, 5), (0.95, 10), (0.9, 9), (1.0, 10), (0.01, 1)])
def test_a_quantile_is_one_of_the_values(share: float, expected: float) -> None:
    assert quantile([3, 1, 2, 10, 9, 8, 7, 6, 5, 4], share) == expected


def test_nothing_has_no_quantile() -> None:
    assert quantile([], 0.5) == 0.0
