"""What the numbers depend on: the machine, the versions, the commit."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
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
)
_BUSY_SHARE = 0.15


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
        "commit": commit(),
        "machine": machine(),
        "versions": {"python": platform.python_version(), **_versions(_PACKAGES)},
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


def busy_warning() -> str | None:
    """Return a warning where other processes use the machine, which makes every number smaller."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load <= _BUSY_SHARE * cores:
        return None
    return f"The machine is busy, do not trust the figures: load average {load:.2f} on {cores} cores"


def commit() -> str:
    """Return the commit that is checked out, with ``+`` where files differ from it."""
    found = _git("rev-parse", "HEAD")
    return found + ("+" if found and _git("status", "--porcelain") else "")


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
