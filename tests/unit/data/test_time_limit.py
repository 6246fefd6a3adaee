from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import pytest
from threads import running_threads

from airflow_provider_aiopt.data.time_limit import TimeLimit


@pytest.fixture
def limit() -> Iterator[TimeLimit]:
    yield TimeLimit()
    assert not running_threads()


def on_thread() -> int:
    return threading.get_ident()


def raise_timeout() -> None:
    raise TimeoutError("the call's own")


def test_a_call_runs_elsewhere(limit: TimeLimit) -> None:
    assert limit.within(math.inf, on_thread) != threading.get_ident()


def test_a_thread_is_kept_from_call_to_call(limit: TimeLimit) -> None:
    with limit.keeping():
        assert len({limit.within(60, on_thread) for _ in range(9)}) == 1
        assert len(running_threads()) == 1


def test_the_last_keeper_ends_them(limit: TimeLimit) -> None:
    with limit.keeping():
        with limit.keeping():
            limit.within(60, on_thread)
        assert len(running_threads()) == 1


def test_calls_side_by_side_have_threads_of_their_own(limit: TimeLimit) -> None:
    def both() -> tuple[int, int]:
        return on_thread(), limit.within(60, on_thread)

    with limit.keeping():
        outer, inner = limit.within(60, both)
        assert outer != inner
        assert len(running_threads()) == 2


@pytest.mark.parametrize("kept", [True, False])
def test_a_call_that_takes_too_long_is_abandoned_with_its_thread(limit: TimeLimit, *, kept: bool) -> None:
    released, over = threading.Event(), threading.Event()

    def hang() -> None:
        released.wait(60)
        over.set()

    def attempt() -> None:
        with pytest.raises(TimeoutError, match=r"no answer within 0\.01 s"):
            limit.within(0.01, hang)
        assert limit.within(60, lambda: "answer") == "answer"

    try:
        if kept:
            with limit.keeping():
                attempt()
        else:
            attempt()
        (abandoned,) = running_threads()
    finally:
        released.set()
    assert over.wait(60)
    abandoned.join(60)


def test_an_error_is_the_callers_and_costs_no_thread(limit: TimeLimit) -> None:
    with limit.keeping():
        before = limit.within(60, on_thread)
        with pytest.raises(TimeoutError, match="the call's own"):
            limit.within(60, raise_timeout)
        assert limit.within(60, on_thread) == before
