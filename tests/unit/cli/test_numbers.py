from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import pytest

from airflow_provider_aiopt.cli.numbers import count, interval, limit, share, whole


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
    ],
)
def test_what_is_not_allowed_is_named_with_what_is(
    read: Callable[[str], float], text: str, allowed: str
) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"{text}'? is not allowed; give {allowed}"):
        read(text)
