"""Calls that may take only so long, of code that cannot be cancelled."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

_Answer = tuple[Any, BaseException | None]


def no_answer(limit_s: float) -> TimeoutError:
    """Return the error of a call that took too long."""
    return TimeoutError(f"no answer within {limit_s:g} s")


class TimeLimit:
    """Makes calls on other threads, each of which is abandoned when its call takes too long.

    A thread ends with its call, but while somebody is :meth:`keeping` them: starting one takes longer than
    many a call does.
    """

    def __init__(self) -> None:
        self._idle: list[_Caller] = []
        self._keepers = 0
        self._lock = threading.Lock()

    def within(self, limit_s: float, call: Callable[[], T]) -> T:
        """Return what *call* does on another thread.

        :param limit_s: seconds that it may take
        :raises TimeoutError: if it takes longer; a driver's own time limit may still end the thread
        :raises Exception: whatever *call* raises
        """
        caller = self._take()
        caller.calls.put(call)
        try:
            value, error = caller.answers.get(timeout=None if math.isinf(limit_s) else limit_s)
        except BaseException as interruption:
            caller.calls.put(None)  # whenever it comes back: its answer is nobody's any more
            if isinstance(interruption, Empty):
                raise no_answer(limit_s) from None
            raise
        self._put_back(caller)
        if error is not None:
            raise error
        result: T = value
        return result

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Keep threads from call to call within the block."""
        with self._lock:
            self._keepers += 1
        try:
            yield
        finally:
            with self._lock:
                self._keepers -= 1
                unused = [] if self._keepers else self._idle
                if unused:
                    self._idle = []
            for caller in unused:
                caller.end()

    def _take(self) -> _Caller:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return _Caller()

    def _put_back(self, caller: _Caller) -> None:
        with self._lock:
            if self._keepers:
                self._idle.append(caller)
                return
        caller.end()


class _Caller:
    """A thread that makes one call after another."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self.answers: SimpleQueue[_Answer] = SimpleQueue()
        # Daemonic: a call that never returns must not keep the process.
        self._thread = threading.Thread(target=self._work, name="aiopt-read", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End the thread, which has no call to make."""
        self.calls.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (call := self.calls.get()) is not None:
            try:
                answer: _Answer = (call(), None)
            except BaseException as error:  # noqa: BLE001 - it is raised again where the answer is taken
                answer = (None, error)
            self.answers.put(answer)
            del call, answer  # what they hold is not kept until the next call
