"""The process that imports Airflow once and forks its components from it.

Importing Airflow costs more than a second of CPU, and each of its components would pay that.  This process
pays it once and forks the components, which then run the very code of ``airflow scheduler`` and so on.

:class:`local_airflow.supervisor.Supervisor` starts it as ``python -P nursery.py PARENT_PID GRACE_SECONDS``.
It reads one JSON command a line from standard input and writes one JSON event a line to standard output::

    {"start": NAME, "argv": [...], "log": PATH,      {"event": "ready"}
     "env": {...}, "load": MODULE, "after": PATH,    {"event": "started", "name": NAME, "pid": PID}
     "cores": [...]}                                 {"event": "exited", "name": NAME, "status": STATUS}
    {"start": NAME, "argv": [...], "log": PATH,
     "folder": PATH, "user": NAME or null, "env": {...}}
    {"kill": NAME}
    end of file: stop everything and exit

A component with a MODULE imports it and waits until the file PATH exists before it runs ``airflow *argv``:
so a server prepares itself while the database is made.  One with cores runs on these alone.  With a FOLDER,
*argv* is no ``airflow`` command but a program that the components need, a database server: it gets the folder
opened in place of ``{folder}``, runs as the user, and is stopped after all components.  STATUS is an exit
code, or a negated signal number.

Everything is also stopped on SIGTERM and when the parent is gone, however it went.  As a *subreaper* the
nursery inherits every process whose own parent died, so that none of its descendants outlives it.

The module runs by its path and imports nothing of its package: a forked component should see Airflow only.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import pwd
import selectors
import signal
import sys
import time
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, NoReturn

_PRELOAD = (
    "airflow.__main__",
    "airflow.api_fastapi.app",
    "airflow.cli.commands.api_server_command",
    "airflow.cli.commands.dag_processor_command",
    "airflow.cli.commands.db_command",
    "airflow.cli.commands.scheduler_command",
    "airflow.cli.commands.triggerer_command",
    "airflow.executors.local_executor",
    "airflow.sdk.execution_time.task_runner",
)
"""What more than one component needs.  The routes of the user's API are left to its server."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PROGRAM_SIGNAL = signal.SIGINT
"""What PostgreSQL takes as "end now, in order": with SIGTERM it would wait for all its clients to go."""
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value}) failed")


def children_of(pid: int) -> list[int]:
    """Return the processes whose parent is *pid*, zombies included."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # "pid (name) state ppid ...": the name may itself hold spaces and brackets.
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                if int(fields[1]) == pid:
                    found.append(int(entry.name))
    return found


def tree_of(pid: int) -> list[int]:
    """Return *pid* and all its descendants."""
    return [pid, *(member for child in children_of(pid) for member in tree_of(child))]


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


class Nursery:
    """Forks components, reports their exits and ends them all.

    :param parent: process id whose end means that everything is to be stopped
    :param grace_s: how long components may take to end after SIGTERM
    :param events: file descriptor for the events
    """

    def __init__(self, parent: int, grace_s: float, events: int) -> None:
        self._parent = os.pidfd_open(parent)
        self._grace_s = grace_s
        self._events = events
        self._names: dict[int, str] = {}
        self._programs: set[int] = set()
        self._wakeup, self._wakeup_writer = os.pipe()
        self._input = b""

    def serve(self) -> dict[str, Any] | None:
        """Work until told to stop; in a forked component, return the command that it is to follow."""
        self._catch_signals()
        selector = selectors.DefaultSelector()
        for descriptor in (0, self._wakeup, self._parent):
            selector.register(descriptor, selectors.EVENT_READ)
        self._report({"event": "ready"})
        stopping = False
        while not stopping:
            ready = {key.fd for key, _ in selector.select()}
            stopping = self._parent in ready or (self._wakeup in ready and self._woken_to_stop())
            self._reap()
            if 0 in ready and not stopping:
                commands = self._commands()
                stopping = commands is None
                for command in commands or ():
                    if self._obey(command):
                        selector.close()
                        return command
        self._stop()
        return None

    def _catch_signals(self) -> None:
        os.set_blocking(self._wakeup_writer, False)
        signal.set_wakeup_fd(self._wakeup_writer, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)

    def _woken_to_stop(self) -> bool:
        return bool({signal.SIGTERM, signal.SIGINT} & set(os.read(self._wakeup, 4096)))

    def _report(self, event: dict[str, Any]) -> None:
        # A parent that died does not read; the nursery then still has its components to stop.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._events, json.dumps(event).encode() + b"\n")

    def _commands(self) -> list[dict[str, Any]] | None:
        data = os.read(0, 65536)
        if not data:
            return None
        *lines, self._input = (self._input + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def _obey(self, command: dict[str, Any]) -> bool:
        """Carry out one command; true in the component that it forked."""
        if "kill" in command:
            for pid in [pid for pid, name in self._names.items() if name == command["kill"]]:
                for member in tree_of(pid):
                    _send(member, signal.SIGKILL)
            return False
        pid = os.fork()
        if pid == 0:
            self._become_component(command["log"])
            if "folder" in command:
                _execute(command)
            return True
        # On both sides of the fork: whichever comes first, the group exists before anyone signals it.
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        self._names[pid] = command["start"]
        if "folder" in command:
            self._programs.add(pid)
        self._report({"event": "started", "name": command["start"], "pid": pid})
        return False

    def _become_component(self, log: str) -> None:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        for descriptor in (self._parent, self._events, self._wakeup, self._wakeup_writer):
            os.close(descriptor)
        _redirect(log)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                name = self._names.pop(found[0], None)
                self._programs.discard(found[0])
                if name is not None:
                    status = os.waitstatus_to_exitcode(found[1])
                    self._report({"event": "exited", "name": name, "status": status})

    def _stop(self) -> None:
        # Airflow takes a second signal as "don't wait any longer for what is running".
        for _ in range(2):
            for pid in self._names.keys() - self._programs:
                _send(pid, signal.SIGTERM)
            self._wait_for_ends(self._grace_s / 2, self._programs)
        for pid in self._programs:
            _send(pid, _PROGRAM_SIGNAL)
        self._wait_for_ends(self._grace_s, frozenset())
        # Whatever is left has had its time, and orphans of killed processes arrive here one by one.
        while members := tree_of(os.getpid())[1:]:
            for pid in members:
                _send(pid, signal.SIGKILL)
            self._reap()
            time.sleep(0.01)

    def _wait_for_ends(self, timeout: float, but: AbstractSet[int]) -> None:
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self._wakeup, selectors.EVENT_READ)
            while self._names.keys() - but and (left := deadline - time.monotonic()) > 0:
                # A short timeout besides the signal: SIGCHLD may have come before the wait began.
                if selector.select(min(left, 0.1)):
                    os.read(self._wakeup, 4096)
                self._reap()


def _redirect(log: str) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    null, out = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(null)
    os.close(out)


def _execute(command: dict[str, Any]) -> NoReturn:
    """Become a program; the folder stays open in it, so that its user needs no way there by name."""
    folder = os.open(command["folder"], os.O_RDONLY | os.O_DIRECTORY)
    os.set_inheritable(folder, True)
    os.chdir("/")
    if command["user"] is not None:
        user = pwd.getpwnam(command["user"])
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    os.environ.update(command.get("env", {}))
    # Again: a change of the user clears it.
    _prctl(_PR_SET_PDEATHSIG, _PROGRAM_SIGNAL)
    argv = [part.replace("{folder}", f"/proc/self/fd/{folder}") for part in command["argv"]]
    os.execv(argv[0], argv)  # noqa: S606  # no shell is wanted


def _preload() -> None:
    # The collector finds nothing to free among modules, and takes a fifth of the import time looking.
    gc.disable()
    for module in _PRELOAD:
        # Only a shortcut: a component imports what it needs, and reports what it misses.
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    gc.freeze()


def _follow(command: dict[str, Any]) -> None:
    gc.enable()
    os.environ.update(command.get("env", {}))
    if "cores" in command:
        os.sched_setaffinity(0, command["cores"])
    if "load" in command:
        # A thousand routes are built and stay: with the default thresholds a quarter of that time is spent
        # looking for garbage. The other components keep them, for tasks are forked from one and measured.
        gc.set_threshold(100_000, 20, 50)
        importlib.import_module(command["load"])
        while not Path(command["after"]).exists():
            time.sleep(0.02)
    sys.argv = ["airflow", *command["argv"]]
    importlib.import_module("airflow.__main__").main()


def _main() -> None:
    parent, grace_s = int(sys.argv[1]), float(sys.argv[2])
    events = os.dup(1)
    os.set_inheritable(events, False)
    os.dup2(2, 1)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    nursery = Nursery(parent, grace_s, events)
    _preload()
    command = nursery.serve()
    if command is not None:
        _follow(command)


if __name__ == "__main__":
    _main()
