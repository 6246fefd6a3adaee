from __future__ import annotations

import pstats
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_aiopt.profiling.call_tree import Node, label, tree_of_stacks, tree_of_statistics
from airflow_provider_aiopt.profiling.deterministic import thread_profile


def walk(node: Node) -> Iterator[Node]:
    yield node
    for call in node.calls:
        yield from walk(call)


def entry(own: float, all_of_it: float, **callers: float) -> Any:
    """A function of a profile; the callers' values are the time of their calls of it."""
    edges = {("f.py", 1, name): (1, 1, seconds, seconds) for name, seconds in callers.items()}
    return (1, 1, own, all_of_it, edges)


def tree(**functions: Any) -> Node:
    return tree_of_statistics({("f.py", 1, name): value for name, value in functions.items()})


def shape(node: Node) -> Any:
    return {call.name.split(" ")[0]: (call.value, shape(call)) for call in node.calls}


def test_calls_lie_below_their_callers() -> None:
    made = tree(
        main=entry(1, 10), load=entry(3, 3, main=3), work=entry(2, 6, main=6), inner=entry(4, 4, work=4)
    )
    assert made.value == 10
    assert shape(made) == {"main": (10, {"work": (6, {"inner": (4, {})}), "load": (3, {})})}


def test_time_is_shared_out_among_callers() -> None:
    made = tree(a=entry(0, 6), b=entry(0, 2), shared=entry(4, 8, a=6, b=2), inner=entry(4, 4, shared=4))
    assert shape(made) == {
        "a": (6, {"shared": (6, {"inner": (3, {})})}),
        "b": (2, {"shared": (2, {"inner": (1, {})})}),
    }


def test_recursion_ends() -> None:
    made = tree(main=entry(0, 5), walk=entry(5, 5, main=5, walk=4))
    assert shape(made) == {"main": (5, {"walk": (5, {})})}


def test_two_functions_that_call_each_other_end() -> None:
    made = tree(main=entry(0, 5), ping=entry(3, 5, main=5, pong=3), pong=entry(2, 4, ping=4))
    assert shape(made) == {"main": (5, {"ping": (5, {"pong": (4, {})})})}


def test_no_call_is_wider_than_its_caller() -> None:
    profile = thread_profile()
    profile.enable()
    _fibonacci(12)
    sorted(range(2000), key=lambda number: -number)
    profile.disable()
    statistics: Any = pstats.Stats(profile)
    made = tree_of_statistics(statistics.stats)
    for node in walk(made):
        assert sum(call.value for call in node.calls) <= node.value * (1 + 1e-9)
    assert any("_fibonacci" in node.name for node in walk(made))


def _fibonacci(number: int) -> int:
    return number if number < 2 else _fibonacci(number - 1) + _fibonacci(number - 2)


def test_an_empty_profile_is_an_empty_tree() -> None:
    assert tree_of_statistics({}) == Node("all threads", 0)


def test_stacks_add_up() -> None:
    made = tree_of_stacks(["main;load 2", "main;work;inner 3", "main;work 1", "other thread 4", "", "junk"])
    assert made.value == 10
    assert {call.name: call.value for call in made.calls} == {"main": 6, "other thread": 4}
    assert {node.name: node.value for node in walk(made.calls[0])} == {
        "main": 6,
        "load": 2,
        "work": 4,
        "inner": 3,
    }


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (("/long/way/stages/ingest.py", 7, "read"), "read (stages/ingest.py:7)"),
        (("~", 0, "<built-in method len>"), "<built-in method len>"),
    ],
)
def test_functions_are_named_shortly(function: Any, expected: str) -> None:
    assert label(function) == expected
