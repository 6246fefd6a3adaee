from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.data.parallel import SerialExecutor, map_ordered, usable_cores


@given(st.integers(0, 20), st.integers(1, 5))
def test_results_come_in_order(items: int, ahead: int) -> None:
    with ThreadPoolExecutor(3) as executor:
        assert list(map_ordered(lambda item: -item, range(items), executor, ahead=ahead)) == [
            -item for item in range(items)
        ]


def test_a_slow_first_call_does_not_let_others_pass(executor: ThreadPoolExecutor) -> None:
    done = [threading.Event() for _ in range(2)]

    def work(item: int) -> int:
        if item == 0:
            assert done[1].wait(10)  # the second ends first
        done[item].set()
        return item

    assert list(map_ordered(work, range(2), executor, ahead=2)) == [0, 1]


@pytest.mark.parametrize("ahead", [1, 2, 7])
def test_no_more_than_asked_for_are_under_way(executor: ThreadPoolExecutor, ahead: int) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(50):
            taken.append(item)
            yield item

    for claimed, _ in enumerate(map_ordered(lambda item: item, items(), executor, ahead=ahead), start=1):
        assert len(taken) - claimed < ahead


@pytest.mark.parametrize(("weights", "most"), [([1] * 20, 3), ([2] * 20, 1), ([9, 1, 1, 1, 9, 1], 3)])
def test_no_more_than_the_budget_is_under_way_but_one_item_always_is(
    executor: ThreadPoolExecutor, weights: list[int], most: int
) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for weight in weights:
            taken += 1
            yield weight

    results = map_ordered(lambda item: item, items(), executor, ahead=10, weigh=int, budget=3)
    waiting = []
    for claimed, _ in enumerate(results, start=1):
        waiting.append(taken - claimed)
    assert claimed == len(weights)
    assert max(waiting) <= most


@given(st.lists(st.integers(0, 3), max_size=20), st.integers(1, 5))
def test_only_neighbours_that_belong_together_change_places(groups: list[int], ahead: int) -> None:
    items = list(enumerate(groups))
    with ThreadPoolExecutor(3) as executor:
        results = list(
            map_ordered(lambda item: item, items, executor, ahead=ahead, together=lambda item: item[1])
        )
    assert sorted(results) == items
    assert [group for _, group in results] == groups


def test_those_that_belong_together_come_as_they_end(executor: ThreadPoolExecutor) -> None:
    claimed = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert claimed.wait(10)
        return item

    results = map_ordered(work, range(2), executor, ahead=2, together=lambda _: "all")
    assert next(results) == 1  # in order it would wait for the first for ever
    claimed.set()
    assert list(results) == [0]


def test_a_serial_executor_answers_with_what_the_call_did() -> None:
    executor = SerialExecutor()
    assert executor.submit(int, "7").result() == 7
    with pytest.raises(ValueError, match="seven"):
        executor.submit(int, "seven").result()


def test_nothing_is_taken_before_it_is_asked_for(executor: ThreadPoolExecutor) -> None:
    taken: list[int] = []
    results = map_ordered(taken.append, iter(range(5)), executor, ahead=2)

    assert taken == []
    next(results)
    results.close()


def test_an_error_comes_in_its_place_and_ends_it(executor: ThreadPoolExecutor) -> None:
    results = map_ordered(lambda item: 1 // (item - 1), range(5), executor, ahead=3)

    assert next(results) == -1
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []


def test_closing_cancels_what_has_not_begun() -> None:
    class Waiting(ThreadPoolExecutor):
        """Begins nothing after the first."""

        def __init__(self) -> None:
            super().__init__(1)
            self.futures: list[Future[int]] = []

        def submit(self, function: Any, /, *args: Any, **_: Any) -> Any:
            future: Future[int] = Future()
            if not self.futures:
                future.set_result(function(*args))
            self.futures.append(future)
            return future

    with Waiting() as executor:
        results = map_ordered(lambda item: item, range(10), executor, ahead=3)
        assert next(results) == 0
        results.close()

        assert len(executor.futures) == 3
        assert [future.cancelled() for future in executor.futures] == [False, True, True]


def test_at_least_one_core_is_usable() -> None:
    assert usable_cores() >= 1
