from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_aiopt.data.limited import LimitedThreads
from airflow_provider_aiopt.exceptions import StuckThreadsError

LIMIT_S = 0.05


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """What a call that hangs waits for."""
    event = threading.Event()
    yield event
    event.set()


def pool(threads: int = 2, **settings: Any) -> LimitedThreads:
    return LimitedThreads(
        threads, **{"limit_s": LIMIT_S, "substitute": lambda: "given up", "max_stuck": 4, **settings}
    )


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("width", [None, 1])
def test_results_come_in_order(threads: int, width: int | None) -> None:
    with pool(threads, width=width, limit_s=60) as executor:
        assert list(executor.map(lambda a, b: a * b, range(100), range(1, 200))) == [
            number * (number + 1) for number in range(100)
        ]
        assert list(executor.map(str, [])) == []
        assert executor.submit(divmod, 7, 2).result() == (3, 1)


def test_the_first_error_is_raised_as_by_any_executor() -> None:
    def call(number: int) -> int:
        if number % 2:
            raise ValueError(f"{number} is odd")
        return number

    with pool(limit_s=60) as executor:
        with pytest.raises(ValueError, match="1 is odd"):
            list(executor.map(call, range(5)))
        with pytest.raises(ValueError, match="7 is odd"):
            executor.submit(call, 7).result()
        assert list(executor.map(call, [2, 4])) == [2, 4]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("hanging", [[0], [4], [9], [2, 5, 8]])
def test_what_hangs_is_given_up_and_the_rest_goes_on(
    threads: int, hanging: list[int], released: threading.Event
) -> None:
    def call(number: int) -> Any:
        return released.wait(60) if number in hanging else number

    with pool(threads) as executor:
        expected = ["given up" if number in hanging else number for number in range(10)]
        assert list(executor.map(call, range(10))) == expected
        assert executor.stuck == len(hanging)
        assert list(executor.map(call, [1, 3])) == [1, 3], "others took the place of the stuck threads"


def test_a_thread_that_comes_back_does_not_spoil_a_result_and_no_longer_counts(
    released: threading.Event,
) -> None:
    others = set(threading.enumerate())
    ended = threading.Event()

    def call(number: int) -> Any:
        if number == 0:
            released.wait(60)
            ended.set()
        return number

    with pool(1) as executor:
        results = executor.map(call, range(3))
        released.set()
        assert ended.wait(60)
        assert list(results) == ["given up", 1, 2]
        for thread in set(threading.enumerate()) - others - set(executor._threads):
            thread.join(60)
        assert executor.stuck == 0


def test_several_callers_each_have_their_own_results(released: threading.Event) -> None:
    def call(number: int) -> Any:
        return released.wait(60) if number == 5 else number

    with pool(2, width=1) as executor:
        found: dict[int, list[Any]] = {}

        def run(first: int) -> None:
            found[first] = list(executor.map(call, range(first, first + 4)))

        callers = [threading.Thread(target=run, args=(first,)) for first in (0, 4, 8, 12)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()

    assert found == {0: [0, 1, 2, 3], 4: [4, "given up", 6, 7], 8: [8, 9, 10, 11], 12: [12, 13, 14, 15]}


@pytest.mark.parametrize("threads", [1, 3])
def test_too_many_that_hang_end_it_at_once(threads: int, released: threading.Event) -> None:
    executor = pool(threads, max_stuck=2)
    with pytest.raises(
        StuckThreadsError,
        match=r"3 records still hang after execution\.record_timeout_s \(0\.05 s each\); 2 are tolerated",
    ):
        executor.map(lambda _: released.wait(60), range(100))
    executor.shutdown()


def test_cpu_time_is_told() -> None:
    spent: list[float] = []
    with pool(1, limit_s=60, on_cpu=spent.append) as executor:
        list(executor.map(lambda number: sum(range(number)), [200_000] * 5))

    assert sum(spent) > 0.005


def test_no_thread_is_left_when_nothing_hangs() -> None:
    before = threading.active_count()
    with pool(3, limit_s=60) as executor:
        list(executor.map(str, range(10)))
        assert threading.active_count() == before + 3
    assert threading.active_count() == before
