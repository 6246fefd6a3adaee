"""Numbers that a command line may give: each is an argument's ``type``."""

from __future__ import annotations

import argparse

from airflow_provider_aiopt.telemetry.hardware.stage import MAX_INTERVAL_S, MIN_INTERVAL_S, check_interval


def whole(text: str) -> int:
    """Read a whole number from 0 on.

    :raises argparse.ArgumentTypeError: if it is anything else
    """
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; give a whole number from 0 on")
    return int(text)


def count(text: str) -> int:
    """Read a whole number from 1 on.

    :raises argparse.ArgumentTypeError: if it is less
    """
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not allowed; give 1 or more")
    return number


def limit(text: str) -> float:
    """Read a number from 0 on.

    :raises argparse.ArgumentTypeError: if it is less, or no number
    """
    number = float(text)
    if not number >= 0:
        raise argparse.ArgumentTypeError(f"{text} is not allowed; give 0 or more")
    return number


def share(text: str) -> float:
    """Read a number from 0 to 1.

    :raises argparse.ArgumentTypeError: if it is another, or no number
    """
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not allowed; give 0 to 1")
    return number


def interval(text: str) -> float:
    """Read the seconds between two samples of the hardware, 0 for none.

    :raises argparse.ArgumentTypeError: if it can be no interval
    """
    number = float(text)
    try:
        return check_interval(number)
    except ValueError:
        allowed = f"0 for none, or {MIN_INTERVAL_S:g} to {MAX_INTERVAL_S:g}"
        raise argparse.ArgumentTypeError(f"{text} is not allowed; give {allowed}") from None
