"""A deterministic profile of one thread, written in Python, with the statistics that cProfile has."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType, ModuleType
from typing import Any

from airflow_provider_aiopt.profiling.call_tree import Edge, Entry, Function


@dataclass(slots=True)
class _Sums:
    calls: int = 0
    recursive: int = 0
    own_s: float = 0.0
    all_s: float = 0.0

    def add(self, own_s: float, all_s: float, *, recursive: bool) -> None:
        self.calls += 1
        self.own_s += own_s
        if recursive:  # the outermost call has this time already
            self.recursive += 1
        else:
            self.all_s += all_s

    def edge(self) -> Edge:
        """Return the numbers in the order in which :mod:`pstats` has a caller's."""
        return (self.calls, self.calls - self.recursive, self.own_s, self.all_s)


@dataclass(slots=True)
class _Called:
    function: Function
    began: float
    callees_s: float = 0.0


@dataclass(slots=True)
class _Totals:
    sums: _Sums = field(default_factory=_Sums)
    callers: dict[Function, _Sums] = field(default_factory=dict)


class PythonProfile:
    """Times the calls of a thread through :func:`sys.setprofile`.

    From Python 3.12 on a process can have only one active :mod:`cProfile`, which mixes up the calls of its
    threads.  The standard library's :mod:`profile` does not keep the time by caller.

    :param clock: seconds
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.stats: dict[Function, Entry] = {}
        """What :mod:`pstats` takes over."""
        self._clock = clock
        self._stack: list[_Called] = []
        self._active: Counter[Function] = Counter()
        self._active_edges: Counter[tuple[Function, Function]] = Counter()
        self._totals: dict[Function, _Totals] = {}

    def enable(self) -> None:
        """Begin on this thread."""
        sys.setprofile(self._dispatch)

    def disable(self) -> None:
        """End it."""
        sys.setprofile(None)

    def create_stats(self) -> None:
        """Sum up the calls that have returned."""
        self.stats = {
            function: (
                totals.sums.calls - totals.sums.recursive,
                totals.sums.calls,
                totals.sums.own_s,
                totals.sums.all_s,
                {caller: sums.edge() for caller, sums in totals.callers.items()},
            )
            for function, totals in list(self._totals.items())
        }

    def _dispatch(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            code = frame.f_code
            self._enter((code.co_filename, code.co_firstlineno, code.co_name))
        elif event == "c_call":
            self._enter(("~", 0, builtin_name(arg)))
        elif self._stack:  # returns from calls that began before the profile are none of its own
            self._leave()

    def _enter(self, function: Function) -> None:
        self._active[function] += 1
        if self._stack:
            self._active_edges[self._stack[-1].function, function] += 1
        self._stack.append(_Called(function, self._clock()))

    def _leave(self) -> None:
        called = self._stack.pop()
        all_s = self._clock() - called.began
        own_s = all_s - called.callees_s
        function = called.function
        self._active[function] -= 1
        totals = self._totals.setdefault(function, _Totals())
        totals.sums.add(own_s, all_s, recursive=self._active[function] > 0)
        if self._stack:
            caller = self._stack[-1]
            caller.callees_s += all_s
            edge = (caller.function, function)
            self._active_edges[edge] -= 1
            sums = totals.callers.setdefault(caller.function, _Sums())
            sums.add(own_s, all_s, recursive=self._active_edges[edge] > 0)


def builtin_name(function: Any) -> str:
    """Return what cProfile calls a built-in function or method."""
    owner = getattr(function, "__self__", None)
    name = function.__name__
    if owner is None or isinstance(owner, ModuleType):
        return f"<built-in method {getattr(function, '__module__', None) or 'builtins'}.{name}>"
    kind = owner if isinstance(owner, type) else type(owner)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"<method {name!r} of '{module}{kind.__qualname__}' objects>"
