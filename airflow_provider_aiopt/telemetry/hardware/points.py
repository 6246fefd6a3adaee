"""From two readings to what happened between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from airflow_provider_aiopt.telemetry.hardware.reading import GpuState, ProcessUse, Reading

_Value = Callable[[Reading], float | None]

RATES: Mapping[str, tuple[_Value, _Value]] = {
    "cpu_cores": (lambda r: r.process.cpu_s, lambda r: r.moment),
    "host_cpu": (lambda r: r.host.busy_s, lambda r: r.host.host_s),
    "cpu_steal": (lambda r: r.host.steal_s, lambda r: r.host.host_s),
    "cpu_throttled": (lambda r: r.throttling.throttled_periods, lambda r: r.throttling.periods),
    "disk_read_bytes_per_s": (lambda r: r.process.read_bytes, lambda r: r.moment),
    "disk_write_bytes_per_s": (lambda r: r.process.write_bytes, lambda r: r.moment),
    "net_in_bytes_per_s": (lambda r: r.network.received_bytes, lambda r: r.moment),
    "net_out_bytes_per_s": (lambda r: r.network.sent_bytes, lambda r: r.moment),
}
"""Columns that are the growth of one counter over that of another."""

LEVELS: Mapping[str, _Value] = {
    "memory_bytes": lambda r: r.process.memory_bytes,
    "memory_limit_used": lambda r: r.memory_limit_used,
    "gpu_utilisation": lambda r: r.gpu.utilisation,
    "gpu_memory_bytes": lambda r: r.gpu.memory_bytes,
    "gpu_power_w": lambda r: r.gpu.power_w,
    "gpu_sm_clock_mhz": lambda r: r.gpu.sm_clock_mhz,
}
"""Columns that a reading has by itself."""


@dataclass(frozen=True, slots=True)
class Share:
    """A column's part of a sum: its value is ``amount / weight``."""

    amount: float = 0.0
    weight: float = 0.0

    def __add__(self, other: Share) -> Share:
        """Return both together."""
        return Share(self.amount + other.amount, self.weight + other.weight)

    @property
    def value(self) -> float:
        """The column's value; 0 where nothing could happen, as in a time without any period of the quota."""
        return self.amount / self.weight if self.weight else 0.0


def between(earlier: Reading, later: Reading) -> dict[str, Share]:
    """Return every known column for the time between two readings.

    A counter that falls, as when a process with children of its own ends before them, counts as one that
    stands still.

    :param earlier: the reading before
    :param later: the reading whose levels count
    """
    found = {}
    for column, (amount, weight) in RATES.items():
        if (grown := _growth(amount, earlier, later)) is None:
            continue
        if (over := _growth(weight, earlier, later)) is not None:
            found[column] = Share(grown, over)
    seconds = later.moment - earlier.moment
    for column, level in LEVELS.items():
        if (value := level(later)) is not None:
            found[column] = Share(value * seconds, seconds)
    return found


def merge(first: Reading, second: Reading) -> Reading:
    """Make one reading of two neighbours: the second's counters, and the levels of both.

    :param first: a reading
    :param second: the next one
    """
    memory = [r.process.memory_bytes for r in (first, second) if r.process.memory_bytes is not None]
    used = [r.memory_limit_used for r in (first, second) if r.memory_limit_used is not None]
    process: ProcessUse = replace(second.process, memory_bytes=max(memory, default=None))
    return replace(
        second,
        process=process,
        gpu=_merge_gpus(first.gpu, second.gpu),
        memory_limit_used=max(used, default=None),
    )


def _growth(counter: _Value, earlier: Reading, later: Reading) -> float | None:
    before, after = counter(earlier), counter(later)
    return None if before is None or after is None else max(0.0, after - before)


def _merge_gpus(first: GpuState, second: GpuState) -> GpuState:
    reasons = [s.throttle_reasons for s in (first, second) if s.throttle_reasons is not None]
    memory = _mean(first.memory_bytes, second.memory_bytes)
    return GpuState(
        utilisation=_mean(first.utilisation, second.utilisation),
        memory_bytes=None if memory is None else round(memory),
        power_w=_mean(first.power_w, second.power_w),
        sm_clock_mhz=_mean(first.sm_clock_mhz, second.sm_clock_mhz),
        throttle_reasons=reasons[0] | reasons[-1] if reasons else None,
    )


def _mean(*values: float | None) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
