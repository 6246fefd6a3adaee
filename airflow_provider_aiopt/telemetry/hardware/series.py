"""A stage's samples: a bounded series and exact levels, whatever the stage's length."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from airflow_provider_aiopt.telemetry.hardware.gpu import THROTTLE_REASONS
from airflow_provider_aiopt.telemetry.hardware.models import HardwareSeries, HardwareUse, Level
from airflow_provider_aiopt.telemetry.hardware.points import LEVELS, RATES, Share, between, merge
from airflow_provider_aiopt.telemetry.hardware.reading import MachineFacts, Reading

MAX_POINTS = 120
"""Most points of a series: enough for a chart, and a report of a stage stays below 40 kB."""

SHORTEST_S = 0.1
"""A shorter stage has no hardware account: the kernel counts CPU time in steps of 10 ms."""

_SOON_S = 1.0
_DIGITS = 5


class Series:
    """Keeps at most :data:`MAX_POINTS` points: a full series joins neighbours and doubles its interval.

    The levels are sums over all samples, so that halving the series does not change them.

    :param interval_s: seconds between two samples at first
    :param max_points: most points, an even number
    """

    def __init__(self, interval_s: float, max_points: int = MAX_POINTS) -> None:
        self.interval_s = interval_s
        self._max_points = max_points
        self._samples = 0
        self._points: list[Reading] = []  # the first is where the others are counted from
        self._sums: dict[str, Share] = {}
        self._largest: dict[str, float] = {}
        self._throttled_s = dict.fromkeys(THROTTLE_REASONS, 0.0)
        self._gpu_s = 0.0

    def add(self, reading: Reading) -> None:
        """Take a sample; the first is where the account begins."""
        self._samples += 1
        if self._points:
            self._account(reading, self._points[-1])
        self._points.append(reading)
        if len(self._points) > self._max_points:
            self._halve()

    def finish(self, reading: Reading) -> None:
        """Take the last sample.

        One that comes soon after the one before it makes that point longer: over a short time the counters'
        steps would look like bursts.
        """
        previous = self._points[-1] if len(self._points) > 1 else None
        if previous is None or reading.moment - previous.moment >= min(self.interval_s, _SOON_S) / 2:
            self.add(reading)
            return
        self._samples += 1
        self._account(reading, previous, largest=False)
        self._points[-1] = merge(previous, reading)

    def use(self, facts: MachineFacts) -> HardwareUse | None:
        """Return the account, None where the stage was too short for one.

        :param facts: what did not change meanwhile
        """
        if not self._points or self._points[-1].moment - self._points[0].moment < SHORTEST_S:
            return None
        levels: dict[str, Any] = {
            column: Level(mean=_rounded(total.value), max=_rounded(max(self._largest[column], total.value)))
            for column, total in self._sums.items()
        }
        return HardwareUse(
            interval_s=self.interval_s,
            samples=self._samples,
            memory_limit_bytes=facts.memory_limit_bytes,
            gpus=facts.gpus,
            gpu_memory_total_bytes=facts.gpu_memory_total_bytes,
            gpu_throttled=self._throttled(),
            series=self._columns(),
            **levels,
        )

    def _account(self, reading: Reading, previous: Reading, *, largest: bool = True) -> None:
        for column, share in between(previous, reading).items():
            self._sums[column] = self._sums.get(column, Share()) + share
            known = self._largest.get(column, 0.0)
            self._largest[column] = max(known, share.value) if largest or column in LEVELS else known
        if (reasons := reading.gpu.throttle_reasons) is not None:
            seconds = reading.moment - previous.moment
            self._gpu_s += seconds
            for bit in THROTTLE_REASONS:
                self._throttled_s[bit] += seconds if reasons & bit else 0.0

    def _throttled(self) -> dict[str, float] | None:
        if not self._gpu_s:
            return None
        return {
            name: _rounded(self._throttled_s[bit] / self._gpu_s)
            for bit, name in THROTTLE_REASONS.items()
            if self._throttled_s[bit]
        }

    def _halve(self) -> None:
        start, *points = self._points
        self._points = [start, *map(merge, points[::2], points[1::2])]
        self.interval_s *= 2

    def _columns(self) -> HardwareSeries:
        steps = [between(earlier, later) for earlier, later in pairwise(self._points)]
        columns: dict[str, Any] = {
            column: tuple(_rounded(step[column].value) if column in step else None for step in steps)
            for column in (*RATES, *LEVELS)
            if column in self._sums
        }
        points, start = self._points[1:], self._points[0].moment
        return HardwareSeries(
            offsets_s=tuple(round(point.moment - start, 3) for point in points),
            gpu_throttle_reasons=tuple(p.gpu.throttle_reasons for p in points) if self._gpu_s else (),
            **columns,
        )


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
