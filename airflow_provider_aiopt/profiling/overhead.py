"""What a profiler costs, and how sure that is: pure functions of measurements."""

from __future__ import annotations

import math
import random
import statistics
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

_Z = 1.96  # two-sided 95 % of the normal distribution
_LEAST = 8  # calls of either kind without which the spread of their mean says little


@dataclass(frozen=True, slots=True)
class Overhead:
    """What profiling has added to a stage.

    :param method: how it is known, in a few words
    :param seconds: what the profiled work took longer
    :param share: the same over what it would have taken without, 0.1 for 10 %
    :param low: lower bound of *share*
    :param high: upper bound of *share*
    """

    method: str
    seconds: float
    share: float
    low: float
    high: float

    def as_json(self) -> dict[str, JsonValue]:
        """Return it for a report."""
        return {
            "method": self.method,
            "seconds": round(self.seconds, 6),
            "share": round(self.share, 5),
            "low": round(self.low, 5),
            "high": round(self.high, 5),
        }


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds that one event costs.

    :param low: a lower bound
    :param usual: as a rule
    :param high: an upper bound
    """

    low: float
    usual: float
    high: float

    @classmethod
    def measured(cls, seconds: Sequence[float]) -> Cost:
        """Return the median and the quartiles of a cost that was measured several times."""
        return cls(*statistics.quantiles(seconds, n=4, method="inclusive"))


def counted(events: int, cost: Cost, spent_s: float, *, method: str) -> Overhead:
    """Return the overhead of a profiler that acts at events which are counted.

    :param events: their number
    :param cost: what one costs
    :param spent_s: seconds that the work took with the profiler, the overhead included
    :param method: how the cost was measured
    """
    low, usual, high = (events * each for each in (cost.low, cost.usual, cost.high))
    without = max(spent_s - usual, usual / 1000, 1e-9)
    return Overhead(method, usual, usual / without, low / without, high / without)


@dataclass
class _Samples:
    on: list[float] = field(default_factory=list)
    off: list[float] = field(default_factory=list)


class Alternation:
    """Calls of which one of two is profiled, so that the profiler's cost shows in their difference.

    What changes slowly, such as the machine's speed, hits both halves alike.  Which call of a pair it is, is
    drawn at random: were it always the second, the profiled calls of a source of which every other record is
    large would be those of the small ones.  Several threads may add calls at once.
    """

    def __init__(self) -> None:
        self._samples: dict[str, _Samples] = defaultdict(_Samples)
        self._begun: set[str] = set()
        self._second: dict[str, bool] = {}
        self._draw = random.Random(0)  # noqa: S311 - the same calls each time, and no secret
        self._lock = threading.Lock()

    def turn(self, name: str) -> bool:
        """Return whether the next call of *name* is to be profiled; the very first is not."""
        with self._lock:
            if name in self._second:
                return self._second.pop(name)
            profiled = name in self._begun and self._draw.random() < 0.5  # noqa: PLR2004 - a coin
            self._begun.add(name)
            self._second[name] = not profiled
            return profiled

    def add(self, name: str, *, profiled: bool, seconds: float) -> None:
        """Add a call.

        :param name: what was called; only calls of the same are compared
        :param profiled: whether it was profiled
        :param seconds: what it took
        """
        with self._lock:
            samples = self._samples[name]
            (samples.on if profiled else samples.off).append(seconds)

    def overhead(self, what: str) -> Overhead | None:
        """Return the overhead of the profiled calls; None where there are too few.

        The first call of each kind is left out: it loads, compiles or allocates.  The interval is the 95 %
        one of a difference of means, with the standard error from the spread of either half.

        :param what: what the seconds are, for the account
        """
        extra = variance = base = 0.0
        number = 0
        for samples in self._samples.values():
            on, off = samples.on[1:], samples.off[1:]
            if min(len(on), len(off)) < _LEAST:
                continue
            number += len(on) + len(off)
            extra += len(on) * (statistics.fmean(on) - statistics.fmean(off))
            base += len(on) * statistics.fmean(off)
            variance += len(on) ** 2 * (
                statistics.variance(on) / len(on) + statistics.variance(off) / len(off)
            )
        if not base:
            return None
        error = _Z * math.sqrt(variance)
        method = f"one of two of {number} calls was profiled; difference of the mean {what}, 95 % interval"
        return Overhead(method, extra, extra / base, (extra - error) / base, (extra + error) / base)
