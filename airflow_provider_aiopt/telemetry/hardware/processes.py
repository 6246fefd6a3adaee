"""The process and its descendants, from ``/proc``."""

from __future__ import annotations

import os

from airflow_provider_aiopt.telemetry.hardware.files import list_folder, read_file
from airflow_provider_aiopt.telemetry.hardware.reading import ProcessUse

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# Places in /proc/PID/stat behind the command's name, see proc_pid_stat(5).
_TIMES = slice(11, 15)  # utime, stime, cutime, cstime
_RESIDENT_PAGES = 21


class ProcessTree:
    """Reads what a process and its descendants use.

    Descendants are found through ``/proc/PID/task/TID/children``, which costs a file for each thread and not,
    as a search of all processes would, one for each process of the machine.  A kernel without that file
    gives the process alone, with the CPU time of children that it has waited for.

    :param root: the file system's root
    :param pid: the process; default this one
    """

    def __init__(self, root: str = "/", pid: int | None = None) -> None:
        self._proc = f"{root.rstrip('/')}/proc"
        self._pid = str(os.getpid() if pid is None else pid)

    def read(self) -> ProcessUse:
        """Return what they have used so far."""
        tree = self._tree()
        stats = [found for pid in tree if (found := self._stat(pid)) is not None]
        transfers = [found for pid in tree if (found := self._transfers(pid)) is not None]
        return ProcessUse(
            cpu_s=sum(cpu_s for cpu_s, _ in stats) if stats else None,
            memory_bytes=sum(memory for _, memory in stats) if stats else None,
            read_bytes=sum(read for read, _ in transfers) if transfers else None,
            write_bytes=sum(written for _, written in transfers) if transfers else None,
        )

    def _tree(self) -> list[str]:
        """Return the process and its descendants, parents before their children.

        In this order a child that is waited for between two reads is missing from one sample.  In the other
        its time would be counted twice.
        """
        tree = dict.fromkeys([self._pid])
        waiting = [self._pid]
        while waiting:
            tasks = f"{self._proc}/{waiting.pop()}/task"
            for thread in list_folder(tasks):
                children = read_file(f"{tasks}/{thread}/children") or b""
                found = [child for child in children.decode().split() if child not in tree]
                tree.update(dict.fromkeys(found))
                waiting.extend(found)
        return list(tree)

    def _stat(self, pid: str) -> tuple[float, int] | None:
        content = read_file(f"{self._proc}/{pid}/stat")
        if not content:
            return None
        fields = content.rpartition(b")")[2].split()
        return sum(map(int, fields[_TIMES])) / _TICKS_PER_S, int(fields[_RESIDENT_PAGES]) * _PAGE_BYTES

    def _transfers(self, pid: str) -> tuple[int, int] | None:
        content = read_file(f"{self._proc}/{pid}/io")
        if not content:  # another user's process, or a sandbox that has no such file
            return None
        values = dict(line.split(b": ") for line in content.splitlines())
        return int(values[b"read_bytes"]), int(values[b"write_bytes"])
