"""The whole host, from ``/proc`` and ``/sys``."""

from __future__ import annotations

import os
from pathlib import Path

from airflow_provider_aiopt.telemetry.hardware.files import list_folder, read_file
from airflow_provider_aiopt.telemetry.hardware.reading import HostUse, NetworkUse

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_CPU_TIMES = 8  # user, nice, system, idle, iowait, irq, softirq, steal; guest time is user time, too
_LOOPBACK = "lo"


class Host:
    """Reads the host's CPU time and the bytes through its network interfaces.

    Of the network it counts the interfaces that are devices, since what goes through a bridge or a tunnel
    goes through a device as well; where none is one, as in a container, all but the loopback.

    :param root: the file system's root
    """

    def __init__(self, root: str = "/") -> None:
        root = root.rstrip("/")
        self._proc = f"{root}/proc"
        names = [name for name in list_folder(f"{root}/sys/class/net") if name != _LOOPBACK]
        self._devices = {name for name in names if Path(f"{root}/sys/class/net/{name}/device").exists()}

    def read_cpu(self) -> HostUse:
        """Return how the time of all cores was spent so far."""
        content = read_file(f"{self._proc}/stat")
        if not content:
            return HostUse()
        _, *times = content.partition(b"\n")[0].split()[: _CPU_TIMES + 1]
        seconds = [int(ticks) / _TICKS_PER_S for ticks in times]
        _, _, _, idle, iowait, _, _, steal = seconds
        return HostUse(host_s=sum(seconds), busy_s=sum(seconds) - idle - iowait - steal, steal_s=steal)

    def read_network(self) -> NetworkUse:
        """Return the bytes received and sent so far."""
        content = read_file(f"{self._proc}/net/dev")
        if not content:
            return NetworkUse()
        received = sent = 0
        for line in content.decode().splitlines()[2:]:  # two lines of headings
            name, _, counters = line.partition(":")
            if self._counts(name.strip()):
                values = counters.split()
                received, sent = received + int(values[0]), sent + int(values[8])
        return NetworkUse(received_bytes=received, sent_bytes=sent)

    def memory_bytes(self) -> int | None:
        """Return the host's memory."""
        return self._memory("MemTotal")

    def memory_used_bytes(self) -> int | None:
        """Return the part of it that no new process could have."""
        total, available = self._memory("MemTotal"), self._memory("MemAvailable")
        return None if total is None or available is None else total - available

    def _memory(self, name: str) -> int | None:
        content = read_file(f"{self._proc}/meminfo") or b""
        for line in content.splitlines():
            if line.startswith(f"{name}:".encode()):
                return int(line.split()[1]) * 1024
        return None

    def _counts(self, interface: str) -> bool:
        return interface in self._devices if self._devices else interface != _LOOPBACK
