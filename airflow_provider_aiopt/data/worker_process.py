"""One process that makes calls for this one, as long as this one lives."""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

from airflow_provider_aiopt.exceptions import ProcessStartError

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from airflow_provider_aiopt.data.worker_process import serve; "
    "serve(int(sys.argv[2]), parent=int(sys.argv[3]))"
)
_PR_SET_PDEATHSIG = 1  # prctl(2)
_OOM_SCORE = Path("/proc/self/oom_score_adj")
_FIRST_TO_GO = "1000"
_STDERR = 2  # descriptor
_REAP_S = 5.0  # from closing the pipe to the end, which has begun


class Outcome:
    """What became of a call: the value that it returned, or the error that it raised.

    :ivar cpu_s: CPU time that it took its process, in seconds
    """

    def __init__(self, value: Any = None, error: BaseException | None = None, *, cpu_s: float = 0.0) -> None:
        self._value = value
        self._error = error
        self.cpu_s = cpu_s

    def value(self) -> Any:
        """Return the value or raise the error."""
        if self._error is not None:
            raise self._error
        return self._value


class WorkerProcess:
    """A process that is started when it is first needed, and again after it was killed or died.

    It is no fork: this process has threads, and locks that they hold.  Nor does it import the main module,
    as processes of :mod:`multiprocessing` do, which in an Airflow task is all of Airflow.

    :param initializer: called in the process before its first call; pickled, as are all calls
    :param start_limit_s: seconds that the process may take to start and to call *initializer*
    """

    def __init__(self, initializer: Callable[[], object], *, start_limit_s: float) -> None:
        self._initializer = initializer
        self._start_limit_s = start_limit_s
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._is_ready = False

    def launch(self) -> None:
        """Start the process unless it runs; it is not waited for, so that several start side by side."""
        if self._process is not None:
            return
        self._is_ready = False
        self._pipe, other = Pipe()
        with other:
            self._process = _starter().submit(_popen, other).result()
        with suppress(OSError):  # it has ended: the pipe says so where readiness is awaited
            self._pipe.send_bytes(pickle.dumps((self._initializer, ())))

    def begin(self, fn: Callable[..., Any], arguments: tuple[Any, ...]) -> Connection:
        """Hand a call over and return the pipe that becomes readable when it has ended.

        :raises ProcessStartError: if the process has to be started and cannot be
        """
        request = pickle.dumps((fn, arguments), pickle.HIGHEST_PROTOCOL)
        if self._pipe is not None and self._is_ready:
            try:
                self._pipe.send_bytes(request)
            except OSError:  # it died since its last call, through no fault of this one
                self.kill()
            else:
                return self._pipe
        pipe = self._ready()
        with suppress(OSError):  # it died of this request: the pipe says so where the answer is read
            pipe.send_bytes(request)
        return pipe

    def answer(self) -> Outcome | None:
        """Return what the call that was handed over came to; None where the process ended instead."""
        try:
            message = self._pipe.recv_bytes() if self._pipe is not None else None
        except (EOFError, OSError):
            return None
        return None if message is None else _unpickled(message)

    def kill(self) -> str:
        """End the process at once and say how it ended, if it had not by itself."""
        process, pipe, self._process, self._pipe = self._process, self._pipe, None, None
        if pipe is not None:
            pipe.close()
        if process is None:
            return "was not running"
        process.kill()
        return described_exit(process.wait())

    def reap(self) -> str:
        """Say how a process ended that closed its pipe."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_REAP_S)
        return self.kill()

    def _ready(self) -> Connection:
        """Start the process, if that is to be done, and wait until it is ready.

        :raises ProcessStartError: if it ends before, or takes too long
        :raises BaseException: what the initializer raised
        """
        self.launch()
        pipe = cast("Connection", self._pipe)
        if not pipe.poll(self._start_limit_s):
            self.kill()
            raise ProcessStartError(
                f"A process for preprocessing was not ready after {self._start_limit_s:g} s and was killed. "
                "See what the transform does when it is imported and made"
            )
        outcome = self.answer()
        if outcome is None:
            raise ProcessStartError(
                f"A process for preprocessing {self.reap()} before it was ready. See what the transform does "
                "when it is imported and made, and what the process wrote to standard error"
            )
        try:
            outcome.value()
        except BaseException:
            self.kill()
            raise
        self._is_ready = True
        return pipe


def described_exit(code: int) -> str:
    """Say how a process ended, as the end of a sentence about it.

    :param code: its exit code; the negative number of the signal that killed it
    """
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", as the kernel does where memory runs out" if -code == signal.SIGKILL else ""
    return f"was killed by {name}{hint}"


@cache
def _starter() -> ThreadPoolExecutor:
    """Return the one thread that starts all processes: the kernel ends them with the thread that did."""
    os.register_at_fork(after_in_child=_starter.cache_clear)  # a fork has no threads
    return ThreadPoolExecutor(1, thread_name_prefix="aiopt-process-starter")


def _popen(pipe: Connection) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - this interpreter
        [sys.executable, "-c", _BOOT, json.dumps(sys.path), str(pipe.fileno()), str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=_STDERR,  # what the transform prints is no part of what this process does
        pass_fds=(pipe.fileno(),),
        # Signals to this process's group, as of Ctrl-C, are for this one to handle.
        process_group=0,
    )


def serve(descriptor: int, *, parent: int) -> None:
    """Make calls until the other end of the pipe is closed; what a worker process does.

    :param descriptor: file descriptor of the pipe
    :param parent: process id of the one that started this
    """
    _end_with(parent)
    with suppress(OSError):  # where memory runs out, this one shall be killed and not the task
        _OOM_SCORE.write_text(_FIRST_TO_GO)
    pipe = Connection(descriptor)
    try:
        while True:
            pipe.send_bytes(_pickled(_attempt(pipe.recv_bytes())))
    except (EOFError, OSError):
        return


def _end_with(parent: int) -> None:
    """Have the kernel end this process with its parent.

    An idle process ends by its pipe alone; this is for one whose code never returns.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before
        sys.exit(1)


def _attempt(request: bytes) -> Outcome:
    began = time.process_time()
    value, failure = None, None
    try:
        fn, arguments = pickle.loads(request)  # noqa: S301 - from the process that started this one
        value = fn(*arguments)
    except Exception as error:  # noqa: BLE001 - it is raised again where the answer is taken
        failure = error
    return Outcome(value, failure, cpu_s=time.process_time() - began)


def _pickled(outcome: Outcome) -> bytes:
    """Pickle an outcome; what cannot be is told instead."""
    try:
        return pickle.dumps(outcome, pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - whatever the value's own code raises
        told = TypeError(f"The answer of a worker process cannot be pickled: {type(error).__name__}: {error}")
        return pickle.dumps(Outcome(error=told))


def _unpickled(message: bytes) -> Outcome:
    try:
        outcome: Outcome = pickle.loads(message)  # noqa: S301 - from a process that was started here
    except Exception as error:  # noqa: BLE001 - whatever the value's own code raises
        told = f"The answer of a worker process cannot be unpickled: {type(error).__name__}: {error}"
        return Outcome(error=TypeError(told))
    return outcome
