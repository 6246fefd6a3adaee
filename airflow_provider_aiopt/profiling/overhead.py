"""What a profiler costs, and how sure that is: pure functions of measurements."""

from __future__ import annotations

import math
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


def counted(
    costs: Sequence[tuple[int, Sequence[float]]], spent_s: float, *, method: str, besides_s: float = 0.0
) -> Overhead:
    """Return the overhead of a profiler that acts at events which are counted.

    The interval goes from the lowest to the highest measured cost of an event.  What events cost indirectly,
    such as the processor's caches, is not in it.

    :param costs: for each kind of event their number, and the seconds that one costs, measured several times
    :param spent_s: seconds that the work took with the profiler, the overhead included
    :param method: how the cost was measured
    :param besides_s: seconds of overhead that were measured directly
    """
    usual, low, high = (
        besides_s + sum(number * choose(seconds) for number, seconds in costs)
        for choose in (statistics.median, min, max)
    )
    without = max(spent_s - usual, usual / 1000, 1e-9)
    return Overhead(method, usual, usual / without, low / without, high / without)


@dataclass
class _Samples:
    on: list[float] = field(default_factory=list)
    off: list[float] = field(default_factory=list)


class Alternation:
    """Calls of which every other one is profiled, so that the profiler's cost shows in their difference.

    What changes slowly, such as the machine's speed or the records, hits both halves alike.  Several threads
    may add calls at once.
    """

    def __init__(self) -> None:
        self._samples: dict[str, _Samples] = defaultdict(_Samples)
        self._turns: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()

    def turn(self, name: str) -> bool:
        """Return whether the next call of *name* is to be profiled."""
        with self._lock:
            self._turns[name] += 1
            return self._turns[name] % 2 == 0

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
        method = f"every other of {number} calls was profiled; difference of the mean {what}, 95 % interval"
        return Overhead(method, extra, extra / base, (extra - error) / base, (extra + error) / base)
