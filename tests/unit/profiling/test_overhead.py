from __future__ import annotations

import random

import pytest

from airflow_provider_aiopt.profiling.overhead import Alternation, Cost, counted


def alternate(calls: int, extra: float, *, seed: int = 1, name: str = "call") -> Alternation:
    """Calls of 10 ms, give or take a millisecond, of which the profiled ones take longer by a share."""
    draw, alternation = random.Random(seed), Alternation()
    for _ in range(calls):
        profiled = alternation.turn(name)
        plain = draw.gauss(0.010, 0.001)
        alternation.add(name, profiled=profiled, seconds=plain * (1 + extra if profiled else 1))
    return alternation


def test_one_of_two_calls_is_profiled_and_never_the_first() -> None:
    alternation = Alternation()
    turns = [alternation.turn("a") for _ in range(200)]
    assert turns[:2] == [False, True]
    assert all(first != second for first, second in zip(turns[::2], turns[1::2], strict=True))
    assert not alternation.turn("b"), "each function has turns of its own"


def test_records_that_come_in_turns_are_not_mistaken_for_overhead() -> None:
    draw, alternation = random.Random(1), Alternation()
    for number in range(600):
        profiled = alternation.turn("call")
        alternation.add("call", profiled=profiled, seconds=draw.gauss(1 + number % 2, 0.1))
    found = alternation.overhead("time")
    assert found is not None
    assert found.low < 0 < found.high
    assert abs(found.share) < 0.1


def test_a_planted_overhead_is_found() -> None:
    found = alternate(400, 0.2).overhead("time")
    assert found is not None
    assert found.share == pytest.approx(0.2, abs=0.03)
    assert found.low < 0.2 < found.high
    assert found.seconds == pytest.approx(199 * 0.010 * 0.2, rel=0.15)


@pytest.mark.parametrize("extra", [0.0, 0.1])
def test_the_interval_holds_the_truth_as_often_as_it_says(extra: float) -> None:
    found = [alternate(60, extra, seed=seed).overhead("time") for seed in range(400)]
    held = sum(overhead is not None and overhead.low <= extra <= overhead.high for overhead in found)
    assert 0.92 <= held / len(found) <= 0.98


def test_calls_of_different_length_are_not_mixed_up() -> None:
    alternation = Alternation()
    for _ in range(20):
        for name, seconds in (("short", 0.001), ("long", 1.0)):
            profiled = alternation.turn(name)
            alternation.add(name, profiled=profiled, seconds=seconds * (1.5 if profiled else 1))
    found = alternation.overhead("time")
    assert found is not None
    assert found.share == pytest.approx(0.5)


def test_the_first_call_of_each_kind_is_left_out() -> None:
    alternation = Alternation()
    for number in range(40):
        profiled = alternation.turn("call")
        alternation.add("call", profiled=profiled, seconds=100.0 if number < 2 else 1.0)
    found = alternation.overhead("time")
    assert found is not None
    assert found.share == 0


def test_too_few_calls_say_nothing() -> None:
    assert alternate(17, 0.2).overhead("time") is None
    assert alternate(18, 0.2).overhead("time") is not None
    assert Alternation().overhead("time") is None


def test_counted_events_cost_what_one_does() -> None:
    found = counted(1000, Cost(0.001, 0.002, 0.003), 6.0, method="m")
    assert found.seconds == pytest.approx(2)
    assert found.share == pytest.approx(2 / 4)
    assert (found.low, found.high) == (pytest.approx(1 / 4), pytest.approx(3 / 4))


def test_a_cost_is_the_median_of_what_was_measured_within_the_middle_half() -> None:
    assert Cost.measured([3.0, 1.0, 2.0, 90.0, 2.5]) == Cost(2.0, 2.5, 3.0)


def test_events_that_seem_to_cost_more_than_there_was_keep_the_share_finite() -> None:
    assert counted(1000, Cost(1, 1, 1), 0.5, method="m").share == 1000


def test_a_report_gets_plain_numbers() -> None:
    assert counted(1, Cost(0.25, 0.25, 0.25), 1.25, method="m").as_json() == {
        "method": "m",
        "seconds": 0.25,
        "share": 0.25,
        "low": 0.25,
        "high": 0.25,
    }
