"""Programs that look into this process from outside: starting them, and knowing whether they may."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from airflow_provider_aiopt.exceptions import ProfilingError

_PR_SET_PTRACER = 0x59616D61
_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4
_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")
_START_S = 20.0
_STOP_S = 20.0
_POLL_S = 0.01
_REFUSED = re.compile(r"operation not permitted|permission denied|EPERM", re.IGNORECASE)


class Tracer:
    """A program attached to a process, from the moment on at which it really is.

    :param command: the program with its arguments, those that name the process included
    :param attached: what it says as soon as it is attached
    :param pid: the process; it may be this one
    :raises ProfilingError: if it may not attach, or does not within 20 s
    """

    def __init__(self, command: Sequence[str], *, attached: str, pid: int) -> None:
        self._name = Path(command[0]).name
        self._said = tempfile.TemporaryFile("w+", prefix="aiopt-tracer-")  # noqa: SIM115 - closed with it
        self._permission = TracingPermission() if pid == os.getpid() else None
        # A group of its own: Ctrl-C is for the run, which then stops the program in its turn.
        self._process = subprocess.Popen(  # noqa: S603 - a profiler's command line
            command, stdin=subprocess.DEVNULL, stdout=self._said, stderr=self._said, start_new_session=True
        )
        try:
            self._wait_for(attached, pid)
        except BaseException:
            self.kill()
            raise

    @property
    def output(self) -> str:
        """What it has said so far."""
        size = os.fstat(self._said.fileno()).st_size
        return os.pread(self._said.fileno(), size, 0).decode(errors="replace")

    def cpu_s(self) -> float:
        """Return the CPU time that it has used so far, in seconds and steps of the kernel's clock."""
        # The name, in brackets, may hold anything; user and system time are the 12th and 13th field after it.
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> str:
        """Have it detach and write down what it found; return what it said.

        :raises ProfilingError: if it ended by itself before, or does not end
        """
        ended = self._process.poll()
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ProfilingError(
                f"{self._name} did not end within {_STOP_S:g} s of being told to, and was killed"
            ) from None
        said = self.output
        self.kill()
        if ended is not None:
            raise ProfilingError(f"{self._name} ended by itself with code {ended}: {_last_line(said)}")
        return said

    def kill(self) -> None:
        """End it, whatever state it is in; the process that it watched goes on."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._said.close()
        if self._permission is not None:
            self._permission.withdraw()

    def _wait_for(self, attached: str, pid: int) -> None:
        end = time.monotonic() + _START_S
        while attached not in self.output:
            code = self._process.poll()
            if code is not None or time.monotonic() >= end:
                raise ProfilingError(self._refusal(self.output, code, pid))
            time.sleep(_POLL_S)

    def _refusal(self, said: str, code: int | None, pid: int) -> str:
        reason = _last_line(said)
        if code is None:
            return f"{self._name} was not attached to process {pid} within {_START_S:g} s: {reason}"
        if not _REFUSED.search(said):
            return f"{self._name} could not be attached to process {pid} and ended with code {code}: {reason}"
        scope = _SCOPE.read_text().strip() if _SCOPE.exists() else "none"
        return (
            f"{self._name} may not look into process {pid} (ptrace: {reason}; kernel.yama.ptrace_scope: "
            f"{scope}; user id {os.getuid()}). Let the worker: in a container with the capability SYS_PTRACE "
            "(docker run --cap-add SYS_PTRACE; securityContext.capabilities.add in a pod), on a machine with "
            "sysctl kernel.yama.ptrace_scope=1 or less, and without another tracer or debugger on the "
            "process. The profiles cprofile and line need no permission"
        )


class TracingPermission:
    """Lets the descendants of this process trace it, where only its ancestors or nobody may.

    Airflow hides its supervisors, and so the tasks that they fork, from other processes of the same user, as
    the kernel does with what is not "dumpable"; and where there is Yama, its ``ptrace_scope`` 1 wants an
    exception named.  Until the permission is withdrawn, other processes of the user may look in, too.
    """

    def __init__(self) -> None:
        self._dumpable = _prctl(_PR_GET_DUMPABLE)
        _prctl(_PR_SET_DUMPABLE, 1)
        _prctl(_PR_SET_PTRACER, os.getpid())

    def withdraw(self) -> None:
        """Put back what was before; again, it does nothing."""
        if self._dumpable is not None:
            _prctl(_PR_SET_DUMPABLE, self._dumpable)
            _prctl(_PR_SET_PTRACER, 0)
            self._dumpable = None


def _prctl(option: int, value: int = 0) -> int | None:
    """Call the system's ``prctl``; None where it does not know the option, or where there is none."""
    try:
        answer = int(ctypes.CDLL(None).prctl(option, value, 0, 0, 0))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
