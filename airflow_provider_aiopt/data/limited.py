"""Threads that are given up where a call takes too long."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from airflow_provider_aiopt.data.blocking import BlockingExecutor
from airflow_provider_aiopt.exceptions import StuckThreadsError

R = TypeVar("R")


class LimitedThreads(BlockingExecutor):
    """An executor whose :meth:`map` answers in time, whatever its calls do.

    A thread cannot be killed: one that is stuck is left alone, and another takes its place.  All are daemons,
    so that those that are left do not keep the process from exiting.  A call that holds the interpreter lock
    for ever stops this executor as it stops everything else.

    :param threads: how many calls run side by side
    :param limit_s: seconds that one call may take
    :param substitute: returns what stands for the result of a call that was given up
    :param max_stuck: how many stuck threads are tolerated at once
    :param width: how many threads one :meth:`map` takes; default: all of them
    :param on_cpu: told the seconds of CPU time that threads spent, for whoever accounts for it
    :param clock: a monotonic clock, in seconds
    """

    def __init__(
        self,
        threads: int,
        *,
        limit_s: float,
        substitute: Callable[[], Any],
        max_stuck: int,
        width: int | None = None,
        on_cpu: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit_s = limit_s
        self._substitute = substitute
        self._max_stuck = max_stuck
        self._width = width or threads
        self._on_cpu = on_cpu
        self._clock = clock
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._stuck = 0
        self._failure = ""
        self._threads: set[threading.Thread] = set()
        self._to_start = threads

    @property
    def stuck(self) -> int:
        """How many threads were given up and have not come back."""
        return self._stuck

    def _run(self, fn: Callable[..., R], items: Sequence[tuple[Any, ...]]) -> Iterator[R]:
        """Wait for all calls.

        :raises StuckThreadsError: if too many threads are stuck
        """
        self._start_all()
        job = _Job(fn, items, self._clock)
        for _ in range(min(self._width, len(items))):
            self._jobs.put(job)
        while items and not job.done.wait(0 if self._failure else job.patience(self._limit_s)):
            for number in job.overdue(self._limit_s):
                self._give_up(job, number)
            if self._failure:  # for good: threads that were not replaced are missing
                job.cancel()
                raise StuckThreadsError(self._failure)
        return iter(cast("list[R]", job.results()))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - none wait
        """End the threads; those that are stuck are left to the end of the process."""
        with self._lock:
            alive = list(self._threads)
        for _ in alive:
            self._jobs.put(None)
        if wait and not self._failure:  # else others hang as well and only have some of their time left
            for thread in alive:
                thread.join(self._limit_s)

    def _give_up(self, job: _Job, number: int) -> None:
        thread = job.give_up(number, self._substitute)
        if thread is None:
            return  # it ended in this very moment
        with self._lock:
            self._stuck += 1
            self._threads.discard(thread)
            stuck = self._stuck
        if stuck > self._max_stuck:
            self._failure = self._failure or (
                f"{stuck} records still hang after execution.record_timeout_s ({self._limit_s:g} s each); "
                f"{self._max_stuck} are tolerated at once, since each keeps a thread and its memory until "
                "the process ends. Raise the limit if the machine is only slow; else remove these records"
            )
            return
        self._start()
        self._jobs.put(job)  # the one that took the stuck one's place goes on with it

    def _start_all(self) -> None:
        """Start the threads at the first use: not every transform has calls for them."""
        with self._lock:
            count, self._to_start = self._to_start, 0
        for _ in range(count):
            self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="aiopt-limited", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            began = time.thread_time()
            kept = job.work()
            if self._on_cpu is not None:
                self._on_cpu(time.thread_time() - began)
            if not kept:  # it was given up, another is in its place
                with self._lock:
                    self._stuck -= 1
                return


class _Raised:
    """What a call raised, as its result."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Job:
    """The calls of one ``map``, taken one by one by the threads that work on it."""

    def __init__(
        self, fn: Callable[..., Any], items: Sequence[tuple[Any, ...]], clock: Callable[[], float]
    ) -> None:
        self.done = threading.Event()
        self._fn = fn
        self._items = items
        self._clock = clock
        self._results: list[Any] = [None] * len(items)
        self._missing = len(items)
        self._numbers = itertools.count()
        self._running: dict[int, tuple[float, threading.Thread]] = {}
        self._lock = threading.Lock()
        self._cancelled = False

    def work(self) -> bool:
        """Make calls until none is left; False if the thread was given up meanwhile."""
        thread = threading.current_thread()
        while (number := next(self._numbers)) < len(self._items) and not self._cancelled:
            with self._lock:
                self._running[number] = (self._clock(), thread)
            result: Any
            try:
                result = self._fn(*self._items[number])
            except BaseException as error:  # noqa: BLE001 - it is raised again on the caller's thread
                result = _Raised(error)
            if self._end(number, result) is None:
                return False
        return True

    def patience(self, limit_s: float) -> float:
        """Return how long none of the calls can be overdue, in seconds."""
        with self._lock:
            began = [start for start, _ in self._running.values()]
        return max(0.0, min(began) + limit_s - self._clock()) if began else limit_s

    def overdue(self, limit_s: float) -> list[int]:
        """Return the numbers of the calls that take too long."""
        latest = self._clock() - limit_s
        with self._lock:
            return [number for number, (start, _) in self._running.items() if start <= latest]

    def give_up(self, number: int, substitute: Callable[[], Any]) -> threading.Thread | None:
        """End a call without its result and return its thread; None if it has ended by itself."""
        return self._end(number, substitute())

    def cancel(self) -> None:
        """Begin no further call."""
        self._cancelled = True

    def results(self) -> list[Any]:
        """Return what the calls returned, in order, or raise what the first that raised did."""
        for result in self._results:
            if isinstance(result, _Raised):
                raise result.error
        return self._results

    def _end(self, number: int, result: Any) -> threading.Thread | None:
        """Keep the first result of a call; of its thread and its time limit only one comes first."""
        with self._lock:
            running = self._running.pop(number, None)
            if running is None:
                return None
            self._results[number] = result
            self._missing -= 1
            if not self._missing:
                self.done.set()
            return running[1]
