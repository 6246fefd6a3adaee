from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import pytest

from airflow_provider_aiopt.cli.numbers import byte_size, count, duration, interval, limit, share, whole


@pytest.mark.parametrize(
    ("read", "text", "number"),
    [
        (whole, "0", 0),
        (count, "1", 1),
        (limit, "0", 0),
        (limit, "inf", math.inf),
        (share, "0", 0),
        (share, "1", 1),
        (interval, "0", 0),
        (interval, "0.1", 0.1),
        (interval, "3600", 3600),
        (duration, "5m", 300),
        (duration, "200ms", 0.2),
        (duration, "1.5 h", 5400),
        (duration, "7", 7),
        (byte_size, "2GiB", 2 * 2**30),
        (byte_size, "1.5 MB", 1_500_000),
        (byte_size, "1", 1),
    ],
)
def test_the_ends_of_what_is_allowed(read: Callable[[str], float], text: str, number: float) -> None:
    assert read(text) == number


@pytest.mark.parametrize(
    ("read", "text", "allowed"),
    [
        (whole, "-1", "a whole number from 0 on"),
        (whole, "1.5", "a whole number from 0 on"),
        (count, "0", "1 or more"),
        (limit, "-0.1", "0 or more"),
        (limit, "nan", "0 or more"),
        (share, "1.1", "0 to 1"),
        (share, "nan", "0 to 1"),
        (interval, "0.05", "0 for none, or 0.1 to 3600"),
        (interval, "nan", "0 for none, or 0.1 to 3600"),
        (duration, "0s", "a duration such as 200ms, 90s or 5m"),
        (duration, "-5m", "a duration such as 200ms, 90s or 5m"),
        (duration, "5 minutes", "a duration such as 200ms, 90s or 5m"),
        (byte_size, "0", "a size such as 512MiB or 2GiB"),
        (byte_size, "2G", "a size such as 512MiB or 2GiB"),
    ],
)
def test_what_is_not_allowed_is_named_with_what_is(
    read: Callable[[str], float], text: str, allowed: str
) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"{text}'? is not allowed; give {allowed}"):
        read(text)
