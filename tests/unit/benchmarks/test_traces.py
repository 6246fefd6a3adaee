from __future__ import annotations

import gzip
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.traces import common, device_events, merged, summary, write

INTERVALS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)).map(lambda pair: (pair[0], sum(pair))))


def ticks(intervals):
    return {tick for start, end in intervals for tick in range(start, end)}


@given(INTERVALS)
def test_the_union_covers_what_its_parts_cover(intervals):
    union = merged(intervals)

    assert ticks(union) == ticks(intervals)
    assert all(first[1] < second[0] for first, second in pairwise(union))


@given(INTERVALS, INTERVALS)
def test_common_time_is_that_of_both(first, second):
    assert common(merged(first), merged(second)) == len(ticks(first) & ticks(second))


def event(category: str, start: float, duration: float, name: str = "x") -> dict[str, object]:
    return {"ph": "X", "cat": category, "name": name, "ts": start, "dur": duration, "args": {"stream": 7}}


def test_only_what_took_place_on_the_device_counts():
    trace = {"traceEvents": [event("cpu_op", 0, 1), event("kernel", 0, 1), {"ph": "M", "cat": "kernel"}]}

    assert device_events(trace) == [event("kernel", 0, 1)]


def test_copies_count_where_kernels_run():
    found = summary(
        [
            event("kernel", 0, 40),
            event("kernel", 30, 20),
            event("kernel", 90, 10),
            event("gpu_memcpy", 40, 20, "Memcpy HtoD (Pinned -> Device)"),
            event("gpu_memcpy", 70, 10, "Memcpy DtoH (Device -> Pinned)"),
        ]
    )

    assert found["busy_share"] == pytest.approx(0.6)
    assert found["overlapped_share"] == pytest.approx(0.5)
    assert found["copy_s"] == pytest.approx(20e-6)


def test_a_trace_without_a_device_has_no_shares():
    assert summary([]) == {"kernel_s": 0.0, "copy_s": 0.0, "busy_share": None, "overlapped_share": None}


def test_what_is_kept_is_a_chrome_trace_without_arguments(tmp_path):
    path = tmp_path / "results" / "trace.json.gz"

    write([event("kernel", 0, 1)], path)

    with gzip.open(path, "rt") as stream:
        (kept,) = json.load(stream)["traceEvents"]
    assert kept == {"ph": "X", "cat": "kernel", "name": "x", "ts": 0, "dur": 1}
