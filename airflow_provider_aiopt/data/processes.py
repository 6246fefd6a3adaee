"""Processes that are killed where a call takes too long, and replaced where a call kills them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from queue import Empty, LifoQueue
from typing import Any, TypeVar

from airflow_provider_aiopt.data.blocking import BlockingExecutor
from airflow_provider_aiopt.data.worker_process import Outcome, WorkerProcess

R = TypeVar("R")


class LimitedProcesses(BlockingExecutor):
    """An executor of processes whose :meth:`map` answers in time, whatever its calls do.

    Each process has a pipe of its own and works on one call at a time, so that it is certain which call a
    process died of, and no lock that it held can stop the others.  What is called, its arguments and its
    result are pickled.  All processes end with this one, even where it is killed.

    :param processes: how many calls run side by side
    :param limit_s: seconds that one call may take, None for no limit
    :param on_timeout: returns what stands for the result of a call that took too long
    :param on_crash: returns what stands for the result of a call that its process died of, given how it ended
    :param initializer: called in each process before its first call, outside the limit
    :param start_limit_s: seconds that a process may take to start and to call *initializer*
    :param width: how many processes one :meth:`map` takes; default: all of them
    :param on_cpu: told the seconds of CPU time that calls took, for whoever accounts for it
    """

    def __init__(
        self,
        processes: int,
        *,
        limit_s: float | None,
        on_timeout: Callable[[], Any],
        on_crash: Callable[[str], Any],
        initializer: Callable[[], object],
        start_limit_s: float = 300.0,
        width: int | None = None,
        on_cpu: Callable[[float], None] | None = None,
    ) -> None:
        self._limit_s = limit_s
        self._on_timeout = on_timeout
        self._on_crash = on_crash
        self._width = width or processes
        self._on_cpu = on_cpu or (lambda _: None)
        self._workers = [WorkerProcess(initializer, start_limit_s=start_limit_s) for _ in range(processes)]
        self._idle: LifoQueue[WorkerProcess] = LifoQueue()  # those that have started come first
        for worker in self._workers:
            self._idle.put(worker)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - none wait
        """Kill the processes."""
        for worker in self._workers:
            worker.kill()

    def _run(self, fn: Callable[..., R], items: Sequence[tuple[Any, ...]]) -> Iterator[R]:
        """Wait for all calls.

        :raises ProcessStartError: if no process can be started
        """
        todo = deque(enumerate(items))
        outcomes: list[Outcome] = [Outcome()] * len(todo)
        busy: dict[Connection, _Call] = {}
        taken: deque[WorkerProcess] = deque()
        try:
            while todo or busy:
                self._take(taken, min(len(todo), self._width - len(busy)), block=not busy)
                while taken:
                    number, arguments = todo.popleft()
                    pipe = taken[0].begin(fn, arguments)
                    busy[pipe] = _Call(taken.popleft(), pipe, number, self._deadline())
                for call in _ended(busy):
                    del busy[call.pipe]
                    outcomes[call.number] = self._outcome(call)
                    self._idle.put(call.worker)
        finally:
            # Each of these is in the middle of something: the next call gets a new process.
            for worker in [*taken, *(call.worker for call in busy.values())]:
                worker.kill()
                self._idle.put(worker)
        return iter([outcome.value() for outcome in outcomes])

    def _take(self, taken: deque[WorkerProcess], count: int, *, block: bool) -> None:
        """Take up to *count* idle processes, at least one if *block*, and have all of them start."""
        with suppress(Empty):
            while len(taken) < count:
                taken.append(self._idle.get(block and not taken))
        for worker in taken:
            worker.launch()

    def _deadline(self) -> float | None:
        return None if self._limit_s is None else time.monotonic() + self._limit_s

    def _outcome(self, call: _Call) -> Outcome:
        """Return what a call answered, or what stands for that; in the latter case its process has ended."""
        if not call.pipe.poll():
            call.worker.kill()
            return Outcome(self._on_timeout())
        outcome = call.worker.answer()
        if outcome is None:
            return Outcome(self._on_crash(call.worker.reap()))
        self._on_cpu(outcome.cpu_s)
        return outcome


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that is under way."""

    worker: WorkerProcess
    pipe: Connection
    number: int
    deadline: float | None


def _ended(busy: dict[Connection, _Call]) -> list[_Call]:
    """Wait until calls have answered, died or taken too long, and return these."""
    deadlines = [call.deadline for call in busy.values() if call.deadline is not None]
    patience = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
    ready = wait(list(busy), patience)
    now = time.monotonic()
    return [
        call
        for call in busy.values()
        if call.pipe in ready or (call.deadline is not None and call.deadline <= now)
    ]
