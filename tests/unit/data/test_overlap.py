from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from threads import running_threads

from airflow_provider_aiopt.data.overlap import ReadAhead, WriteBehind

PATIENCE = 10  # seconds, far more than anything here takes


class TestReadAhead:
    @given(st.lists(st.integers(0, 9)), st.integers(0, 20))
    def test_all_items_come_in_order(self, items: list[int], budget: int) -> None:
        with ReadAhead(iter(items), weigh=int, budget=budget) as ahead:
            assert list(ahead) == items
        assert not running_threads()

    def test_items_are_read_before_they_are_asked_for(self) -> None:
        read = [threading.Event() for _ in range(3)]

        def items() -> Iterator[int]:
            for number, event in enumerate(read):
                event.set()
                yield number

        with ReadAhead(items(), weigh=lambda _: 1, budget=9) as ahead:
            assert all(event.wait(PATIENCE) for event in read)
            assert list(ahead) == [0, 1, 2]

    @given(st.lists(st.integers(1, 9), min_size=1), st.integers(1, 20))
    def test_no_more_than_the_budget_is_ready_but_one_item_always_is(
        self, weights: list[int], budget: int
    ) -> None:
        read: list[int] = []

        def items() -> Iterator[int]:
            for weight in weights:
                read.append(weight)  # it is under way; those before it are kept
                yield weight

        with ReadAhead(items(), weigh=int, budget=budget) as ahead:
            for claimed, weight in enumerate(ahead, start=1):
                assert weight == weights[claimed - 1]
                # What is ready fits the budget, or is one item; one more may be in the reader's hand.
                ready = read[claimed:-1]
                assert sum(ready) <= budget or len(ready) <= 1

    def test_an_error_comes_in_its_place(self) -> None:
        def items() -> Iterator[int]:
            yield 1
            raise LookupError("two")

        with ReadAhead(items(), weigh=int, budget=9) as ahead:
            assert next(ahead) == 1
            for _ in range(2):
                with pytest.raises(LookupError, match="two"):
                    next(ahead)

    def test_leaving_it_ends_the_thread_and_the_generator(self) -> None:
        ended = threading.Event()

        def items() -> Iterator[int]:
            try:
                while True:
                    yield 1
            finally:
                ended.set()

        with pytest.raises(KeyboardInterrupt), ReadAhead(items(), weigh=int, budget=3) as ahead:
            next(ahead)
            raise KeyboardInterrupt
        assert ended.is_set()
        assert not running_threads()


class TestWriteBehind:
    @given(st.lists(st.integers(0, 9)), st.integers(0, 20))
    def test_all_actions_run_in_order(self, weights: list[int], budget: int) -> None:
        done: list[int] = []
        with WriteBehind(budget=budget) as behind:
            for number, weight in enumerate(weights):
                behind.submit(lambda number=number: done.append(number), weight)
            behind.drain()
            assert done == list(range(len(weights)))
        assert not running_threads()

    def test_who_asks_goes_on_while_an_action_runs(self) -> None:
        go_on = threading.Event()
        with WriteBehind(budget=9) as behind:
            behind.submit(lambda: go_on.wait(PATIENCE), 1)
            behind.submit(lambda: None, 1)  # would never come here if it waited
            go_on.set()
            behind.drain()

    def test_too_much_at_once_waits(self) -> None:
        began, go_on, taken = threading.Event(), threading.Event(), threading.Event()

        def slow() -> None:
            began.set()
            assert go_on.wait(PATIENCE)

        def ask(behind: WriteBehind) -> None:
            behind.submit(lambda: None, 5)
            taken.set()

        with WriteBehind(budget=9) as behind:
            behind.submit(slow, 5)
            assert began.wait(PATIENCE)
            other = threading.Thread(target=ask, args=(behind,))
            other.start()
            assert not taken.is_set()
            go_on.set()
            other.join(PATIENCE)
            assert taken.is_set()

    def test_an_error_is_raised_where_the_next_is_asked_for_and_nothing_runs_after_it(self) -> None:
        done: list[str] = []

        def fail() -> None:
            raise OSError(28, "no room")

        with WriteBehind(budget=9) as behind:
            behind.submit(fail)
            with pytest.raises(OSError, match="no room"):
                behind.drain()
            with pytest.raises(OSError, match="no room"):
                behind.submit(lambda: done.append("after"))
        assert done == []
        assert not running_threads()

    def test_an_error_frees_whoever_waits_for_room(self) -> None:
        began, go_on = threading.Event(), threading.Event()

        def fail() -> None:
            began.set()
            assert go_on.wait(PATIENCE)
            raise OSError(28, "no room")

        with WriteBehind(budget=1) as behind:
            behind.submit(fail, 1)
            assert began.wait(PATIENCE)
            threading.Timer(0, go_on.set).start()
            with pytest.raises(OSError, match="no room"):
                behind.submit(lambda: None, 1)

    def test_leaving_it_drops_what_has_not_begun_and_waits_for_what_has(self) -> None:
        began, go_on, done = threading.Event(), threading.Event(), list[str]()

        def first() -> None:
            began.set()
            assert go_on.wait(PATIENCE)
            done.append("first")

        def let_go_once_left(behind: WriteBehind) -> None:
            with behind._changed:
                assert behind._changed.wait_for(lambda: behind._closed, PATIENCE)
            go_on.set()

        with pytest.raises(KeyboardInterrupt), WriteBehind(budget=9) as behind:
            behind.submit(first)
            behind.submit(lambda: done.append("second"))
            assert began.wait(PATIENCE)
            threading.Thread(target=let_go_once_left, args=(behind,)).start()
            raise KeyboardInterrupt
        assert done == ["first"]
        assert not running_threads()
