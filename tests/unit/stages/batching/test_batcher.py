from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_aiopt.exceptions import DeviceOutOfMemoryError
from airflow_provider_aiopt.stages.batching.batcher import Batcher
from airflow_provider_aiopt.stages.batching.knee import KneeSearch
from airflow_provider_aiopt.stages.batching.policies import (
    BucketedBatching,
    Cut,
    FixedBatching,
    ModelBatching,
)


class Device:
    """Answers the numbers of the rows; its memory holds *room* rows and it counts its calls."""

    def __init__(self, room: int = 1000) -> None:
        self.room = room
        self.calls: list[int] = []

    def __call__(self, cut: Cut) -> tuple[list[int], int]:
        self.calls.append(cut.padded)
        if cut.padded > self.room:
            raise DeviceOutOfMemoryError(f"{cut.padded} rows")
        return list(range(cut.start, cut.stop)), 8 * cut.padded


def rows(made: list[list[int]]) -> list[int]:
    return list(itertools.chain.from_iterable(made))


def test_what_was_done_is_told() -> None:
    batcher = Batcher(BucketedBatching((4, 8)))
    assert rows(batcher.run(11, Device())) == list(range(11))
    assert batcher.facts() == {
        "policy": "bucketed",
        "size": 8,
        "calls": {"4": 1, "8": 1},
        "padded_rows": 1,
        "halvings": [],
    }


def test_calls_are_halved_from_the_failed_one_on_and_for_good() -> None:
    device, batcher = Device(room=5), Batcher(FixedBatching(16))
    assert rows(batcher.run(20, device)) == list(range(20))
    assert device.calls == [16, 8, 4, 4, 4, 4, 4]
    assert rows(batcher.run(8, device)) == list(range(8))
    assert device.calls[7:] == [4, 4]
    assert batcher.facts()["halvings"] == [{"rows": 16, "to": 8}, {"rows": 8, "to": 4}]


@pytest.mark.parametrize("policy", [FixedBatching(4), BucketedBatching((2, 4)), ModelBatching(4)])
def test_the_smallest_call_that_does_not_fit_fails(policy: object) -> None:
    smallest = 4 if isinstance(policy, ModelBatching) else 1
    with pytest.raises(DeviceOutOfMemoryError, match=f"A call of {smallest} row.*Free memory"):
        Batcher(policy).run(4, Device(room=0))


def test_threads_that_run_out_of_memory_together_halve_once() -> None:
    batcher, together = Batcher(FixedBatching(8)), threading.Barrier(2)
    device = Device(room=4)

    def call(cut: Cut) -> tuple[list[int], int]:
        if cut.padded == 8:
            together.wait(10)
        return device(cut)

    with ThreadPoolExecutor(2) as executor:
        made = list(executor.map(lambda total: rows(batcher.run(total, call)), (8, 8)))
    assert made == [list(range(8))] * 2
    assert batcher.facts()["halvings"] == [{"rows": 8, "to": 4}]


class Clock:
    """Stands at 0 until a call moves it on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_auto_measures_before_the_first_batch_and_says_what_it_found() -> None:
    clock, device = Clock(), Device()

    def call(cut: Cut) -> tuple[list[int], int]:
        clock.now += max(cut.padded, 4) / 32  # up to 4 rows cost the same
        return device(cut)

    batcher = Batcher(FixedBatching(16), KneeSearch((1, 2, 4, 8, 16)), now=clock)
    assert rows(batcher.run(16, call)) == list(range(16))
    assert device.calls == [1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 4, 4, 4, 4]
    facts = batcher.facts()
    assert facts["size"] == 4
    assert facts["calls"] == {"4": 4}
    assert facts["auto"] == {
        "chosen": 4,
        "bound": "knee",
        "rows_per_s": {"1": 8.0, "2": 16.0, "4": 32.0, "8": 32.0, "16": 32.0},
        "seconds": 2.25,
    }
    batcher.run(4, call)
    assert device.calls[14:] == [4]


def test_a_slow_model_is_not_measured_for_long() -> None:
    clock = Clock()

    def call(cut: Cut) -> tuple[list[int], int]:
        clock.now += 2.0
        return list(range(cut.start, cut.stop)), 8

    batcher = Batcher(FixedBatching(16), KneeSearch((1, 2, 4, 8, 16)), now=clock)
    assert rows(batcher.run(16, call)) == list(range(16))
    facts = batcher.facts()["auto"]
    assert (facts["chosen"], facts["bound"], facts["seconds"]) == (2, "time", 8.0)


def test_a_size_is_measured_by_the_shortest_of_a_few_calls() -> None:
    clock, durations = Clock(), iter([9.0, 0.04, 0.01, 0.02, 0.01])

    def call(cut: Cut) -> tuple[list[int], int]:
        clock.now += next(durations)
        return [0], 8

    batcher = Batcher(FixedBatching(1), KneeSearch((1,)), now=clock)
    batcher.run(1, call)
    assert batcher.facts()["auto"]["rows_per_s"] == {"1": 100.0}


def test_auto_stops_where_memory_does_and_loses_nothing() -> None:
    batcher = Batcher(FixedBatching(32), KneeSearch((1, 2, 4, 8, 16, 32)), now=Clock())
    assert rows(batcher.run(32, Device(room=2))) == list(range(32))
    facts = batcher.facts()
    assert facts["auto"]["bound"] == "out_of_memory"
    assert facts["halvings"] == [{"rows": 4, "to": 2}]
    assert facts["size"] <= 2


def test_auto_that_fits_nothing_halves_below_its_candidates() -> None:
    batcher = Batcher(BucketedBatching((8, 32)), KneeSearch((8, 32)), now=Clock())
    assert rows(batcher.run(32, Device(room=3))) == list(range(32))
    assert batcher.facts()["size"] == 2


def test_an_empty_batch_is_one_call_and_is_not_measured() -> None:
    device = Device()
    batcher = Batcher(FixedBatching(8), KneeSearch((1, 8)))
    assert batcher.run(0, device) == [[]]
    assert device.calls == [0]
