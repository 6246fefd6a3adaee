"""When records arrive, and how they become runs."""

from __future__ import annotations

import csv
import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from airflow_provider_aiopt.exceptions import SimulationError
from airflow_provider_aiopt.simulation.trace import Arrival

Pattern = Literal["poisson", "constant", "daily", "bursts"]
PATTERNS: tuple[Pattern, ...] = ("poisson", "constant", "daily", "bursts")

_UNITS = {"s": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "day": 86400}
_RATE = re.compile(r"\s*([0-9][0-9_,]*(?:\.[0-9]+)?(?:[eE][+]?[0-9]+)?)\s*/\s*([a-z]+)\s*")
_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Load:
    """How many records arrive, and how evenly.

    :param per_s: records per second, on average
    :param pattern: ``poisson``: independent of each other; ``constant``: equally far apart; ``daily``: as
        ``poisson``, at a rate that follows a sine over the day, around its peak; ``bursts``: many at once
    :param peak: of ``daily``: rate at the peak over the mean, 1 to 2
    :param burst: of ``bursts``: records in each, which come at random times
    """

    per_s: float
    pattern: Pattern = "poisson"
    peak: float = 1.5
    burst: int = 100

    @property
    def simulated_per_s(self) -> float:
        """Records per second while they are simulated: those of a day at its peak."""
        return self.per_s * self.peak if self.pattern == "daily" else self.per_s

    def times(self, until_s: float, chance: random.Random) -> list[float]:
        """Return when records arrive, ascending from 0 on.

        :param until_s: until when
        :param chance: where randomness comes from
        """
        if self.pattern == "constant":
            return [number / self.per_s for number in range(math.ceil(self.per_s * until_s))]
        if self.pattern == "bursts":
            moments = _poisson(self.per_s / self.burst, until_s, chance)
            return [moment for moment in moments for _ in range(self.burst)]
        if self.pattern == "poisson":
            return list(_poisson(self.per_s, until_s, chance))
        # A Poisson process whose rate changes, by thinning: Lewis and Shedler, "Simulation of Nonhomogeneous
        # Poisson Processes by Thinning", Naval Research Logistics 26 (3), 1979.
        most = self.per_s * self.peak
        return [
            at_s
            for at_s in _poisson(most, until_s, chance)
            if chance.random() * most < self._daily_rate(at_s - until_s / 2)
        ]

    def _daily_rate(self, from_peak_s: float) -> float:
        return self.per_s * (1 + (self.peak - 1) * math.cos(2 * math.pi * from_peak_s / _DAY_S))


def parse_rate(text: str) -> float:
    """Return how many per second *text* says.

    :param text: such as ``10_000_000/day`` or ``5/s``
    :raises SimulationError: if it is no rate
    """
    found = _RATE.fullmatch(text)
    unit = _UNITS.get(found[2]) if found else None
    per_s = float(found[1].replace("_", "").replace(",", "")) / unit if found and unit else 0.0
    if not per_s:
        raise SimulationError(
            f"{text!r} is no rate of arrivals. Write a number above 0 and one of {', '.join(_UNITS)}, such "
            "as 10_000_000/day, or name a file with a time on each line"
        )
    return per_s


def read_times(path: Path) -> list[float]:
    """Return the times of real uploads, in seconds from the first one on.

    :param path: a CSV file with one upload to a line and its time in the first column, or in the column
        ``time`` or ``seen_at``: ISO 8601 or seconds since the epoch
    :raises SimulationError: if it cannot be read, or has fewer than two times
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row and row[0].strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise SimulationError(f"The times of uploads cannot be read from {path}: {error}") from error
    column = next((rows[0].index(name) for name in ("time", "seen_at") if rows and name in rows[0]), None)
    body = rows if column is None else rows[1:]
    times = sorted(_time(row, column or 0, path) for row in body)
    if len(times) < 2 or times[0] == times[-1]:  # noqa: PLR2004 - a rate needs two moments
        raise SimulationError(f"{path} has {len(times)} times of uploads; a load needs two that differ")
    return [time - times[0] for time in times]


@dataclass(frozen=True, slots=True)
class Batching:
    """How uploads become runs, as :class:`NewUploadTrigger` makes them.

    :param window_s: seconds for which the first upload of a run waits for others
    :param max_batch: most uploads of a run
    :param event_s: from there to the run's creation
    """

    window_s: float = 1.0
    max_batch: int = 100
    event_s: float = 0.5


def runs_of(times: Sequence[float], batching: Batching) -> list[tuple[Arrival, Sequence[float]]]:
    """Return the runs that uploads become, each with the times of its uploads.

    :param times: when uploads are ready, ascending
    :param batching: how they are collected
    """
    found, first = [], 0
    while first < len(times):
        due_s = times[first] + batching.window_s
        last, full = first, min(len(times), first + batching.max_batch)
        while last < full and times[last] <= due_s:
            last += 1
        if last - first == batching.max_batch:
            due_s = times[last - 1]
        found.append((Arrival(due_s + batching.event_s, last - first), times[first:last]))
        first = last
    return found


def _poisson(per_s: float, until_s: float, chance: random.Random) -> Iterator[float]:
    at_s = chance.expovariate(per_s)
    while at_s < until_s:
        yield at_s
        at_s += chance.expovariate(per_s)


def _time(row: Sequence[str], column: int, path: Path) -> float:
    text = row[column].strip() if column < len(row) else ""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise SimulationError(
            f"{path} has {text!r} where a time is expected: ISO 8601, or seconds since the epoch"
        ) from None
