"""line_profiler on the functions that a stage is made of, or on those that are named."""

from __future__ import annotations

import functools
import inspect
import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from airflow_provider_aiopt.exceptions import MissingExtraError, ProfilingError
from airflow_provider_aiopt.profiling.base import ProfileRequest, StageProfiler
from airflow_provider_aiopt.profiling.overhead import Alternation, Overhead
from airflow_provider_aiopt.profiling.targets import Target, functions_of, named_functions


class LineStageProfiler(StageProfiler):
    """Times the lines of functions in one of two calls of them.

    A call within a profiled call is profiled with it.  Child processes are not seen.

    :param request: what was asked for
    """

    kind = "line"

    def __init__(self, request: ProfileRequest) -> None:
        super().__init__(request)
        self._profiler: Any = None
        self._replaced: dict[tuple[int, str], Target] = {}
        self._alternation = Alternation()
        self._inside = threading.local()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Import line_profiler, and find the functions that are named.

        :raises MissingExtraError: if it is not installed
        :raises ProfilingError: if a function cannot be profiled
        """
        try:
            import line_profiler
        except ImportError as error:
            raise MissingExtraError("line_profiler", "profiling", "Profiling line by line") from error
        self._profiler = line_profiler.LineProfiler()
        for path in self.request.functions:
            for target in named_functions(path, self.request.allowed):
                self._watch(target)

    def end(self) -> None:
        """Put the functions back."""
        with self._lock:
            for target in self._replaced.values():
                target.restore()

    abandon = end

    def subjects(self, stage: str, *subjects: object) -> None:
        """Profile what *stage* works with, unless functions are named or another stage is asked for."""
        if self.request.functions or self.request.stage not in {None, stage}:
            return
        for subject in subjects:
            for target in functions_of(subject):
                self._watch(target)

    def write(self, folder: Path) -> dict[str, JsonValue]:
        """Write ``profile.lprof`` and the lines as text.

        :raises ProfilingError: if none of the functions was called
        """
        statistics = self._profiler.get_stats()
        called = {key: lines for key, lines in statistics.timings.items() if lines}
        if not called:
            names = ", ".join(sorted(target.path for target in self._replaced.values())) or "none was found"
            raise ProfilingError(
                f"None of the functions was called twice in this process ({names}), and one of two "
                "call is profiled. Name others, take more records or a smaller execution.batch_size"
            )
        self._profiler.dump_stats(str(folder / "profile.lprof"))
        text = io.StringIO()
        self._profiler.print_stats(stream=text, stripzeros=True, sort=True, summarize=True)
        (folder / "profile.txt").write_text(text.getvalue().lstrip(), encoding="utf-8")
        return {"functions": len(called)}

    def overhead(self) -> Overhead | None:
        """Return what the calls of the functions took longer; None where there were few."""
        return self._alternation.overhead("CPU time of its thread")

    def _watch(self, target: Target) -> None:
        with self._lock:
            key = (id(target.owner), target.name)
            if key in self._replaced:
                return
            self._profiler.add_callable(target.function)
            self._replaced[key] = target
            target.replace(self._wrapped(target))

    def _wrapped(self, target: Target) -> Any:
        function, name = target.function, target.path

        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def resumed(*args: Any, **kwargs: Any) -> Iterator[Any]:
                generator = function(*args, **kwargs)
                try:
                    while True:
                        with self._call(name):
                            item = next(generator, generator)
                        if item is generator:
                            return
                        yield item
                finally:
                    generator.close()

            return resumed

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with self._call(name):
                return function(*args, **kwargs)

        return called

    @contextmanager
    def _call(self, name: str) -> Iterator[None]:
        """Profile the block if it is its turn; blocks within another are part of that one."""
        if getattr(self._inside, "call", False):
            yield
            return
        profiled = self._alternation.turn(name)
        self._inside.call = True
        began = time.thread_time()
        if profiled:
            self._profiler.enable_by_count()
        try:
            yield
        finally:
            if profiled:
                self._profiler.disable_by_count()
            self._alternation.add(name, profiled=profiled, seconds=time.thread_time() - began)
            self._inside.call = False
