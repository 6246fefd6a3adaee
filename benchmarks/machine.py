"""What the numbers depend on: the machine, the versions, the commit."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.paths import ROOT

_NOTABLE_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
_VNNI = {"avx512_vnni", "avx_vnni"}
_PACKAGES = (
    "airflow-provider-aiopt",
    "daft",
    "numpy",
    "onnxruntime",
    "pillow",
    "pyarrow",
    "ray",
    "simplejpeg",
    "torch",
    "torchvision",
)
_BUSY_SHARE = 0.05
_LOOK_S = 1.0


def use_cores(count: int) -> None:
    """Confine this process and its children to *count* cores, so that figures from machines compare.

    :raises SystemExit: if there are fewer
    """
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < count:
        raise SystemExit(f"The benchmarks need {count} cores, this process may use {len(usable)}")
    os.sched_setaffinity(0, usable[:count])


def surroundings() -> dict[str, Any]:
    """Return date, commit, machine and versions as plain values."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(changes()),
        "machine": machine(),
        "versions": installed_versions(),
    }


def machine() -> dict[str, Any]:
    """Return the processor, cores, memory, kernel and load."""
    processor = _first_processor()
    flags = set(processor.get("flags", "").split())
    return {
        "cpu": processor.get("model name", platform.processor()),
        "cores_of_machine": os.cpu_count(),
        "cores_used": len(os.sched_getaffinity(0)),
        "flags": [flag for flag in _NOTABLE_FLAGS if flag in flags],
        "vnni": bool(flags & _VNNI),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "load_average": os.getloadavg(),
    }


def installed_versions() -> dict[str, str | None]:
    """Return the versions of Python and of what the benchmarks run in this environment."""
    return {"python": platform.python_version(), **_versions(_PACKAGES)}


@dataclass(frozen=True)
class CpuTimes:
    """What the machine's cores have done since it started, in clock ticks.

    :param busy: worked, or were taken by other virtual machines
    :param stolen: were taken by other virtual machines
    :param total: all of the time
    """

    busy: int
    stolen: int
    total: int

    @classmethod
    def now(cls) -> CpuTimes:
        """Read the kernel's account."""
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        user, nice, system, idle, waiting, irq, softirq, stolen = map(int, fields)
        busy = user + nice + system + irq + softirq + stolen
        return cls(busy, stolen, busy + idle + waiting)

    def shares_since(self, earlier: CpuTimes) -> tuple[float, float]:
        """Return the shares of the time since *earlier* that were busy and stolen."""
        total = max(1, self.total - earlier.total)
        return (self.busy - earlier.busy) / total, (self.stolen - earlier.stolen) / total


def busy_warning() -> str | None:
    """Return a warning where other processes use the machine, which makes every number smaller.

    It looks for a second, while the benchmark itself does nothing: the load average would still tell of the
    benchmark before.
    """
    before = CpuTimes.now()
    time.sleep(_LOOK_S)
    busy, _ = CpuTimes.now().shares_since(before)
    if busy <= _BUSY_SHARE:
        return None
    return f"Others use {busy:.0%} of the machine's cores: do not trust the figures"


def changes() -> str:
    """Return a digest of how the sources differ from the commit, empty where they do not.

    Results are no sources: writing them makes the next benchmark's sources none the worse.
    """
    sources = ("--", ".", ":!benchmarks/results")
    found = _git("status", "--porcelain", *sources)
    return hashlib.sha256((found + _git("diff", "HEAD", *sources)).encode()).hexdigest() if found else ""


def code_state() -> str:
    """Return what changes when the code does."""
    return " ".join((_git("rev-parse", "HEAD"), changes())).strip()


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _first_processor() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    block = path.read_text().split("\n\n", 1)[0] if path.exists() else ""
    pairs = (line.split(":", 1) for line in block.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _versions(packages: Iterable[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found
