from __future__ import annotations

import cProfile
import itertools
import sys
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_aiopt.profiling.python_profile import PythonProfile, builtin_name


def outer(number: int) -> int:
    return sum([inner(number), inner(number)])


def inner(number: int) -> int:
    return number if number == 0 else inner(number - 1) + len("x" * number)


def numbered() -> Any:
    yield from range(3)


def fails() -> None:
    with suppress(ValueError):
        int("no number")


def profiled(profile: Any) -> dict[str, Any]:
    """Profile some calls; returns what is counted of each function of this file, callers by name."""
    profile.enable()
    outer(3)
    list(numbered())
    fails()
    profile.disable()
    profile.create_stats()
    return {
        name: (entry[0], entry[1], {caller[2]: edge[:2] for caller, edge in entry[4].items()})
        for (file, _, name), entry in profile.stats.items()
        if file in {__file__, "~"} and "disable" not in name and "setprofile" not in name
    }


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="there cProfile counts otherwise: it is what it stands for"
)
def test_it_counts_what_cprofile_counts() -> None:
    assert profiled(PythonProfile()) == profiled(cProfile.Profile())


def test_time_is_that_of_the_clock_and_recursion_counts_once() -> None:
    ticks = itertools.count()
    profile = PythonProfile(lambda: float(next(ticks)))
    profile.enable()
    inner(2)
    profile.disable()
    profile.create_stats()
    (entry,) = [entry for function, entry in profile.stats.items() if function[2] == "inner"]
    once, calls, own_s, all_s, callers = entry
    assert (once, calls) == (1, 3)
    # A tick at the beginning and the end of each of five calls, three of inner and two of len.
    assert all_s == 9
    assert own_s == 9 - 2
    assert {caller[2]: edge[:2] for caller, edge in callers.items()} == {"inner": (2, 1)}


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (len, "<built-in method builtins.len>"),
        ([].append, "<method 'append' of 'list' objects>"),
        (sys.getsizeof, "<built-in method sys.getsizeof>"),
        (itertools.count().__next__, "<method '__next__' of 'itertools.count' objects>"),
        (dict.fromkeys, "<method 'fromkeys' of 'dict' objects>"),
    ],
)
def test_built_in_functions_have_names(function: Any, name: str) -> None:
    assert builtin_name(function) == name
