"""The limits that control groups set for the process, versions 1 and 2."""

from __future__ import annotations

from pathlib import PurePosixPath

from airflow_provider_aiopt.telemetry.hardware.files import read_file
from airflow_provider_aiopt.telemetry.hardware.reading import Throttling

_UNLIMITED = 2**60  # version 1 says "no limit" by a number near 2**63


class ControlGroup:
    """Reads the memory limit, the CPU quota and the CPU throttling of the process's control groups.

    A limit may be set at any level: for memory the least counts, for the CPU that of the nearest level with
    a quota.

    :param root: the file system's root
    """

    def __init__(self, root: str = "/") -> None:
        self._root = root.rstrip("/")
        self._statistics = self._find_statistics()
        self._memory_limit = self._find_memory_limit()

    def memory_limit_bytes(self) -> int | None:
        """Return the least limit, None where there is none."""
        return self._memory_limit[0] if self._memory_limit else None

    def memory_used_bytes(self) -> int | None:
        """Return what counts against that limit now, None where there is none.

        It is the memory of every process in the group that has the limit, without the pages of files that
        nobody has used lately: the kernel drops these before it kills.
        """
        if self._memory_limit is None:
            return None
        _, folder = self._memory_limit
        used = self._word(f"{folder}/memory.current") or self._word(f"{folder}/memory.usage_in_bytes")
        return max(0, int(used) - self._droppable_bytes(folder)) if used.isdecimal() else None

    def cpu_quota(self) -> float | None:
        """Return the cores that the least CPU quota amounts to, None where there is none."""
        quotas = []
        for folder in self._folders("cpu"):
            words = (read_file(f"{folder}/cpu.max") or b"").decode().split()  # version 2: both in one file
            if not words:
                words = [self._word(f"{folder}/cpu.cfs_{name}_us") for name in ("quota", "period")]
            if all(word.isdecimal() for word in words):
                quotas.append(int(words[0]) / int(words[1]))
        return min(quotas, default=None)

    def _find_memory_limit(self) -> tuple[int, str] | None:
        """Return the least limit and the folder of the group that has it."""
        names = ("memory.max", "memory.limit_in_bytes")
        found = [
            (int(text), folder)
            for folder in self._folders("memory")
            for name in names
            if (text := self._word(f"{folder}/{name}")).isdecimal()
        ]
        return min(((limit, folder) for limit, folder in found if limit < _UNLIMITED), default=None)

    def _droppable_bytes(self, folder: str) -> int:
        content = read_file(f"{folder}/memory.stat") or b""
        values = dict(line.split() for line in content.splitlines())
        # Version 1 counts the groups below under a name of its own.
        return int(values.get(b"total_inactive_file") or values.get(b"inactive_file") or 0)

    def read_throttling(self) -> Throttling:
        """Return how often the CPU quota was used up so far."""
        content = read_file(self._statistics) if self._statistics else None
        if not content:
            return Throttling()
        values = dict(line.split() for line in content.splitlines())
        return Throttling(periods=int(values[b"nr_periods"]), throttled_periods=int(values[b"nr_throttled"]))

    def cpu_quota_cores(self) -> float | None:
        """Return how many cores' worth of CPU time the least quota allows, None where there is none."""
        quotas = []
        for folder in self._folders("cpu"):
            words = (read_file(f"{folder}/cpu.max") or b"").decode().split()
            if not words:  # version 1
                words = [self._word(f"{folder}/{name}") for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]
            if all(word.isdecimal() for word in words) and int(words[1]):  # neither "max" nor -1
                quotas.append(int(words[0]) / int(words[1]))
        return min(quotas, default=None)

    def _find_statistics(self) -> str | None:
        for folder in self._folders("cpu"):
            quotas = self._word(f"{folder}/cpu.max"), self._word(f"{folder}/cpu.cfs_quota_us")
            if any(quota.isdecimal() for quota in quotas):  # neither "max" nor -1
                return f"{folder}/cpu.stat"
        return None

    def _folders(self, controller: str) -> list[str]:
        """Return the folders of the process's groups for *controller*, the nearest first."""
        lines = (read_file(f"{self._root}/proc/self/cgroup") or b"").decode().splitlines()
        groups = {names: path for _, names, path in (line.split(":", 2) for line in lines)}
        own = next((names for names in groups if controller in names.split(",")), "")
        if own not in groups or (mount := self._mount(controller if own else None)) is None:
            return []
        top, point = mount
        group = PurePosixPath(groups[own])
        # In a namespace of its own the process may see a path that lies outside of what is mounted.
        below = group.relative_to(top) if group.is_relative_to(top) else PurePosixPath()
        levels = [below, *below.parents] if below.parts else [below]
        return [f"{self._root}{point}/{level}" for level in levels]

    def _mount(self, controller: str | None) -> tuple[str, str] | None:
        """Return top group and mount point of a controller of version 1 or, for None, of version 2."""
        lines = (read_file(f"{self._root}/proc/self/mountinfo") or b"").decode().splitlines()
        for line in lines:
            mount, _, system = line.partition(" - ")
            kind, _, options = system.split(" ", 2)
            wanted = kind == "cgroup2" if controller is None else controller in options.split(",")
            if wanted and kind.startswith("cgroup"):
                _, _, _, top, point, *_ = mount.split(" ")
                return top, point
        return None

    def _word(self, path: str) -> str:
        words = (read_file(path) or b"").decode().split()
        return words[0] if words else ""
