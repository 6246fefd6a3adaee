"""Numbers that a command line may give: each is an argument's ``type``."""

from __future__ import annotations

import argparse
import re

from airflow_provider_aiopt.telemetry.hardware.stage import MAX_INTERVAL_S, MIN_INTERVAL_S, check_interval

_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|m|h|)")
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(KiB|MiB|GiB|kB|MB|GB|)")
_BYTES = {"": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


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


def duration(text: str) -> float:
    """Read a duration above zero: a number of seconds, or one with ``ms``, ``s``, ``m`` or ``h``.

    :raises argparse.ArgumentTypeError: if it is anything else
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not (seconds := float(match[1]) * _SECONDS[match[2]]):
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; give a duration such as 200ms, 90s or 5m")
    return seconds


def byte_size(text: str) -> int:
    """Read a number of bytes above zero, or one with ``KiB``, ``MiB``, ``GiB``, ``kB``, ``MB`` or ``GB``.

    :raises argparse.ArgumentTypeError: if it is anything else
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or not (found := int(float(match[1]) * _BYTES[match[2]])):
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; give a size such as 512MiB or 2GiB")
    return found


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
