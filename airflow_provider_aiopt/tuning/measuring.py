"""From what a run answers, and when, to a throughput with its error; pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from airflow_provider_aiopt.telemetry.trend import percentile

_P95 = 95
_LEAST_LATENCIES = 20
"""Batches below which their 95th percentile is one of the two slowest, whatever they are like."""

# Quantiles of Student's distribution for a two-sided 95 % interval, by degrees of freedom.
_STUDENT = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145)
_NORMAL = 2.0


@dataclass(frozen=True, slots=True)
class Tick:
    """Batches that got their results close together.

    :param at: when the last of them did, in seconds of some clock
    :param records: how many records they had
    :param latencies_s: of each batch the seconds from its reading to its results
    """

    at: float
    records: int
    latencies_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a run that begins and ends with a tick.

    It begins just after one tick and ends with another, so that no batch is cut in two: windows of a fixed
    length would count a large batch in one of them as a whole.

    :param seconds: its length
    :param records: what got its results within
    :param latencies_s: of the batches within
    """

    seconds: float
    records: int
    latencies_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class MeasuringPlan:
    """How long a trial is measured.

    :param warm_up_s: seconds after the first results that do not count
    :param window_s: least length of a window
    :param least: windows before a trial may end by itself
    :param most: windows after which it ends
    :param precision: half-width of the 95 % interval of the throughput, relative to it, that is enough
    """

    warm_up_s: float = 0.4
    window_s: float = 0.4
    least: int = 4
    most: int = 10
    precision: float = 0.03


@dataclass
class _Sum:
    records: int = 0
    latencies: list[float] = field(default_factory=list)

    def add(self, other: _Sum) -> None:
        self.records += other.records
        self.latencies += other.latencies


@dataclass
class WindowMeter:
    """Cuts a run's ticks into windows.

    A pass over the sample that is too short for a window of its own counts from its beginning to that of the
    next, with all that starting it takes: such passes are put together until they make up a window.

    :param plan: how long they are
    :param windows: those that are complete
    """

    plan: MeasuringPlan
    windows: list[Window] = field(default_factory=list)
    _warm_from: float | None = None
    _begun: float | None = None
    _start: float | None = None
    _whole: bool = False
    _window: _Sum = field(default_factory=_Sum)
    _pass: _Sum = field(default_factory=_Sum)
    _short: _Sum = field(default_factory=_Sum)
    _short_s: float = 0.0

    def begin(self, at: float) -> Window | None:
        """Begin another pass over the sample: what lies between two of them is no part of a window.

        :param at: when, in seconds of the ticks' clock
        :returns: the window that short passes complete, if any
        """
        window = None
        if self._begun is not None and self._is_warm(self._begun) and not self._whole:
            self._short_s += at - self._begun
            self._short.add(self._pass)
            if self._short_s >= self.plan.window_s:
                window = self._complete(self._short_s, self._short)
                self._short, self._short_s = _Sum(), 0.0
        self._begun, self._start, self._whole, self._pass = at, None, False, _Sum()
        return window

    def add(self, tick: Tick) -> Window | None:
        """Take in a tick.

        :param tick: the next one
        :returns: the window that it completes, if any
        """
        if self._warm_from is None:
            self._warm_from = tick.at
        found = _Sum(tick.records, list(tick.latencies_s))
        self._pass.add(found)
        if not self._is_warm(tick.at):
            return None
        if self._start is None:
            self._start, self._window = tick.at, _Sum()
            return None
        self._window.add(found)
        if tick.at - self._start < self.plan.window_s:
            return None
        window = self._complete(tick.at - self._start, self._window)
        self._start, self._window, self._whole = tick.at, _Sum(), True
        return window

    def _is_warm(self, at: float) -> bool:
        return self._warm_from is not None and at - self._warm_from >= self.plan.warm_up_s

    def _complete(self, seconds: float, found: _Sum) -> Window:
        window = Window(seconds, found.records, tuple(found.latencies))
        self.windows.append(window)
        return window


@dataclass(frozen=True, slots=True)
class Measured:
    """What windows come to.

    :param items_per_s: records over seconds, all windows taken together
    :param error: half-width of the 95 % interval of their mean rate, relative to it; infinite for one window
    :param p95_s: 95th percentile of the batches' latencies, in seconds; None where there are none
    :param batches: how many latencies that is of
    """

    items_per_s: float
    error: float
    p95_s: float | None
    batches: int


def summarise(windows: Sequence[Window]) -> Measured:
    """Return what *windows* come to.

    The interval is Student's, over the windows as independent batch means: Law, *Simulation Modeling and
    Analysis* (2015), section 9.5.3.

    :param windows: at least one
    """
    rates = [window.records / window.seconds for window in windows]
    latencies = [item for window in windows for item in window.latencies_s]
    rate = sum(window.records for window in windows) / sum(window.seconds for window in windows)
    return Measured(
        items_per_s=rate,
        error=_half_width(rates) / rate if rate else math.inf,
        p95_s=percentile(latencies, _P95) if latencies else None,
        batches=len(latencies),
    )


def is_enough(windows: Sequence[Window], plan: MeasuringPlan, *, latency: bool = False) -> bool:
    """Tell whether a trial may end.

    :param windows: what it has so far
    :param plan: how long it may be measured
    :param latency: whether its batches' latency matters, which takes some batches
    """
    if len(windows) >= plan.most:
        return True
    if len(windows) < plan.least:
        return False
    found = summarise(windows)
    return found.error <= plan.precision and (not latency or found.batches >= _LEAST_LATENCIES)


def _half_width(values: Sequence[float]) -> float:
    if len(values) < 2:  # noqa: PLR2004 - one value says nothing of its error
        return math.inf
    degrees = len(values) - 1
    quantile = _STUDENT[degrees - 1] if degrees <= len(_STUDENT) else _NORMAL
    return quantile * statistics.stdev(values) / math.sqrt(len(values))
