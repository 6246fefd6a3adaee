"""cProfile on all threads that work for a stage."""

from __future__ import annotations

import io
import pstats
import random
import statistics
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, cast

from pydantic import JsonValue

from airflow_provider_aiopt.profiling.base import ProfileRequest, StageProfiler
from airflow_provider_aiopt.profiling.call_tree import tree_of_statistics
from airflow_provider_aiopt.profiling.flamegraph import flame_graph
from airflow_provider_aiopt.profiling.overhead import Cost, Overhead, counted
from airflow_provider_aiopt.profiling.python_profile import PythonProfile
from airflow_provider_aiopt.telemetry.hardware.sampler import THREAD as SAMPLER
from airflow_provider_aiopt.telemetry.units import count, duration

ROWS = 30
_REPEATS = 5
_PAIRS = 1000


class ThreadProfile(Protocol):
    """The profile of one thread; enabled and disabled on it."""

    def enable(self) -> None:
        """Begin."""
        ...

    def disable(self) -> None:
        """End."""
        ...

    def create_stats(self) -> None:
        """Make :mod:`pstats` understand it."""
        ...


def thread_profile() -> ThreadProfile:
    """Return the profile of a thread that suits this Python; from 3.12 on cProfile knows no threads."""
    if sys.version_info >= (3, 12):
        return PythonProfile()
    import cProfile

    return cast("ThreadProfile", cProfile.Profile())


class CProfiler(StageProfiler):
    """Profiles every call of the thread that drives the stage, and of those that begin meanwhile.

    Threads that run already, such as the event loop of a remote file system, are not seen, nor are child
    processes.  The times are wall-clock times: threads that wait are in it.

    :param request: what was asked for
    """

    kind = "cprofile"
    whole_process = True

    def __init__(self, request: ProfileRequest) -> None:
        super().__init__(request)
        self._profiles: list[ThreadProfile] = []
        self._own: ThreadProfile | None = None
        self._before: Any = None
        self._cpu_s = 0.0
        self._calls = 0

    def begin(self) -> None:
        """Profile this thread and all that begin from now on."""
        self._before = threading.getprofile()
        self._cpu_s = time.process_time()
        threading.setprofile(self._join)
        self._own = self._add()
        self._own.enable()

    def end(self) -> None:
        """Stop; threads that are stuck in a decoder go on until they end."""
        if self._own is None:
            return
        self._own.disable()
        threading.setprofile(self._before)
        self._cpu_s = time.process_time() - self._cpu_s

    def write(self, folder: Path) -> dict[str, JsonValue]:
        """Write ``profile.prof``, a table and a flame graph."""
        text = io.StringIO()
        found: Any = pstats.Stats(stream=text)
        for profile in self._profiles:
            profile.create_stats()
            if cast("Any", profile).stats:
                found.add(profile)
        found.dump_stats(folder / "profile.prof")
        found.sort_stats("cumulative").print_stats(ROWS)
        (folder / "profile.txt").write_text(text.getvalue().lstrip(), encoding="utf-8")
        tree = tree_of_statistics(found.stats)
        self._calls = found.total_calls
        title = f"{len(self._profiles)} threads, {count(self._calls)} calls: wall-clock time by cProfile"
        (folder / "flamegraph.svg").write_text(flame_graph(tree, title, duration), encoding="utf-8")
        return {"threads": len(self._profiles), "calls": self._calls}

    def overhead(self) -> Overhead:
        """Return the number of calls times what one costs here."""
        method = "calls times the cost of one here, over the CPU time; with one to 2,000 known functions"
        return counted(self._calls, call_cost(), self._cpu_s, method=method)

    def _add(self) -> ThreadProfile:
        profile = thread_profile()
        self._profiles.append(profile)
        return profile

    def _join(self, frame: FrameType, event: str, arg: object) -> None:  # noqa: ARG002 - a profile function
        """Take over a thread at its first call, instead of being its profile function."""
        sys.setprofile(None)
        if threading.current_thread().name != SAMPLER:
            self._add().enable()


def call_cost() -> Cost:
    """Measure what the profiling of one call costs, in seconds of CPU time.

    A profiler looks each function up among those that it knows.  A stage calls some hundred; the bounds are
    what a call costs with one and with two thousand of them.
    """
    one, hundreds, thousands = (_costs(number) for number in (1, 600, 2000))
    return Cost(min(one), statistics.median(hundreds), max(thousands))


def _costs(functions: int) -> list[float]:
    calls = _shuffled_calls(functions)
    costs = []
    for _ in range(_REPEATS):
        profile = thread_profile()
        plain = _timed(calls)
        profile.enable()
        profiled = _timed(calls)
        profile.disable()
        costs.append(max(0.0, (profiled - plain) / (3 * len(calls))))
    return costs


def _shuffled_calls(functions: int) -> list[tuple[Any, Any]]:
    """Return pairs of functions, the first of which calls the second, and that a built-in one."""
    source = "def {name}(other=None):\n    other() if other is not None else len(())\n"
    names = [f"function_{number}" for number in range(functions)]
    made: dict[str, Any] = {}
    exec("".join(source.format(name=name) for name in names), made)  # noqa: S102 - text of our own
    draw = random.Random(0)  # noqa: S311 - an order, no secret
    return [(made[draw.choice(names)], made[draw.choice(names)]) for _ in range(_PAIRS)]


def _timed(calls: list[tuple[Any, Any]]) -> float:
    began = time.thread_time()
    for first, second in calls:
        first(second)
    return time.thread_time() - began
