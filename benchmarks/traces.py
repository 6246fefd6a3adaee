"""Reading what CUPTI recorded: how long the GPU computed, and how much of the copying that hid."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Interval = tuple[float, float]

KERNEL = "kernel"
COPY = "gpu_memcpy"
_TO_DEVICE = "HtoD"
_KEPT = (KERNEL, COPY, "gpu_memset")
_US = 1e-6


def device_events(trace: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the events of a Chrome trace that took place on the GPU."""
    return [event for event in trace.get("traceEvents", ()) if event.get("cat") in _KEPT and "dur" in event]


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the union of *intervals*, ascending and disjoint."""
    union: list[Interval] = []
    for start, end in sorted(intervals):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], end))
        else:
            union.append((start, end))
    return union


def common(first: Sequence[Interval], second: Sequence[Interval]) -> float:
    """Return the time that two ascending, disjoint series have in common."""
    total, left, right = 0.0, 0, 0
    while left < len(first) and right < len(second):
        start = max(first[left][0], second[right][0])
        end = min(first[left][1], second[right][1])
        total += max(0.0, end - start)
        if first[left][1] < second[right][1]:
            left += 1
        else:
            right += 1
    return total


def summary(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how busy the GPU was and how much of the copying to it lay under kernels.

    :param events: what :func:`device_events` returns
    :returns: ``busy_share`` of the time from the first kernel to the end of the last, ``copy_s`` and
        ``overlapped_share`` of the copies from host to device; the shares are None without such events
    """
    kernels, copies = [], []
    for event in events:
        interval = (float(event["ts"]), float(event["ts"]) + float(event["dur"]))
        if event["cat"] == KERNEL:
            kernels.append(interval)
        elif event["cat"] == COPY and _TO_DEVICE in str(event.get("name", "")):
            copies.append(interval)
    kernels, copies = merged(kernels), merged(copies)
    computing = sum(end - start for start, end in kernels)
    copying = sum(end - start for start, end in copies)
    span = kernels[-1][1] - kernels[0][0] if kernels else 0.0
    return {
        "kernel_s": computing * _US,
        "copy_s": copying * _US,
        "busy_share": computing / span if span else None,
        "overlapped_share": common(kernels, copies) / copying if copying else None,
    }


def write(events: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write *events* so that chrome://tracing and Perfetto open them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    slim = [
        {key: event[key] for key in ("ph", "cat", "name", "pid", "tid", "ts", "dur") if key in event}
        for event in events
    ]
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        json.dump({"traceEvents": slim}, stream)
