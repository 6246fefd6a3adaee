"""Numbers as people read them; programs get them from the CSV and JSON exports instead."""

from __future__ import annotations

_MINUTE = 60.0
_HOUR = 3600.0


def duration(seconds: float) -> str:
    """Write a duration with three significant digits, or in minutes and hours from a minute on.

    :param seconds: seconds, not negative
    """
    if seconds >= _HOUR:
        minutes = round(seconds / _MINUTE)
        return f"{minutes // 60} h {minutes % 60:02d} min"
    if round(seconds, 1) >= _MINUTE:
        whole = round(seconds)
        return f"{whole // 60} min {whole % 60:02d} s" if whole < _HOUR else "1 h 00 min"
    if round(seconds, 3) >= 1 or seconds == 0:
        return f"{_significant(seconds)} s"
    return f"{_significant(seconds * 1000)} ms"


def share(fraction: float) -> str:
    """Write a fraction as a percentage.

    :param fraction: 0 to 1
    """
    percent = fraction * 100
    return "<0.1 %" if 0 < percent < 0.05 else f"{percent:.1f} %"  # noqa: PLR2004 - what rounds to 0.0


def count(number: int) -> str:
    """Write a whole number with thousands apart.

    :param number: any integer
    """
    return f"{number:,}".replace(",", " ")


def rate(per_second: float) -> str:
    """Write a rate with three significant digits, from a thousand on as a whole number.

    :param per_second: events per second
    """
    return _significant(per_second)


def size(number: int) -> str:
    """Write a number of bytes in binary units.

    :param number: bytes
    """
    value, unit = float(number), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1000 or unit == "TiB":  # noqa: PLR2004 - four digits would not be three significant ones
            break
        value /= 1024
    return f"{_significant(value) if unit != 'B' else number} {unit}"


def _significant(value: float) -> str:
    if value == 0:
        return "0"
    if value >= 99.95:  # noqa: PLR2004 - from here on three digits need no fraction
        return count(round(value))
    if value >= 9.995:  # noqa: PLR2004 - and from here on one digit of it
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.01 else f"{value:.1g}"  # noqa: PLR2004 - below, leading zeros count
