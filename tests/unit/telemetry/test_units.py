from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.telemetry import units


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0000123, "0.01 ms"),
        (0.000001, "0.001 ms"),
        (0.0123, "12.3 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (1.234, "1.23 s"),
        (9.996, "10.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (123, "2 min 03 s"),
        (3599.7, "1 h 00 min"),
        (3720, "1 h 02 min"),
        (360000, "100 h 00 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0, "0.0 %"), (0.0004, "<0.1 %"), (0.0005, "0.1 %"), (0.5, "50.0 %"), (1, "100.0 %")],
)
def test_share(fraction: float, text: str) -> None:
    assert units.share(fraction) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1024, "1.00 KiB"), (5 * 2**30, "5.00 GiB"), (2**60, "1 048 576 TiB")],
)
def test_size(number: int, text: str) -> None:
    assert units.size(number) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.004, "0.004"), (1.5, "1.50"), (99.96, "100"), (12345.6, "12 346")]
)
def test_rate(value: float, text: str) -> None:
    assert units.rate(value) == text


def test_count() -> None:
    assert units.count(1234567) == "1 234 567"


@given(st.floats(0, 1e9))
def test_durations_stay_short(seconds: float) -> None:
    assert len(units.duration(seconds)) <= 16
