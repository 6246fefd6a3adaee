"""Findings from the shared libraries that a process has loaded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from airflow_provider_aiopt.doctor.models import Finding, ok, warning
from airflow_provider_aiopt.doctor.probe import OPENMP, Library

_ONCE: Mapping[str, str] = {
    "libcudnn": "calls may mix the two, which crashes or computes nonsense",
    "libcublas": "each keeps its own workspace in the GPU's memory",
    "libcublasLt": "each keeps its own workspace in the GPU's memory",
    "libcudart": "each keeps its own state of the device",
    "libnvinfer": "engines of one cannot be read by the other",
    "libonnxruntime": "sessions of one are unknown to the other",
    "libstdc++": "exceptions that pass from one to the other end the process",
    "libarrow": "tables that pass from one to the other crash",
}
"""What is to be loaded once, and what comes of twice."""


def judge_libraries(libraries: Sequence[Library]) -> Iterator[Finding]:
    """Judge what is loaded twice: the same library in two files, or two OpenMP runtimes."""
    families: dict[str, list[Library]] = defaultdict(list)
    for library in sorted(libraries, key=lambda it: it.path):
        families[library.family].append(library)
    found = [*_twice(families), *_openmp([item for family in OPENMP for item in families.get(family, ())])]
    yield from found
    for name in (*_ONCE, *sorted(OPENMP)):
        for library in families.get(name, ()):
            if len(families[name]) == 1:
                yield ok(name, _told(library))
    if not found:
        yield ok("shared libraries", f"{len(libraries)} are loaded, none of those that matter twice")


def _twice(families: Mapping[str, Sequence[Library]]) -> Iterator[Finding]:
    for name, effect in _ONCE.items():
        copies = families.get(name, ())
        if len(copies) > 1:
            yield warning(
                name,
                f"is loaded {len(copies)} times, {', '.join(map(_told, copies))}: {effect}",
                "Install packages that were built for the same version, or take folders off LD_LIBRARY_PATH "
                "until one copy is left",
            )


def _openmp(runtimes: Sequence[Library]) -> Iterator[Finding]:
    if len(runtimes) > 1:
        threads = sum(library.threads or 0 for library in runtimes)
        each = f", which start up to {threads} threads in all" if threads else ""
        yield warning(
            "OpenMP",
            f"{len(runtimes)} runtimes are loaded{each}: {', '.join(map(_told, runtimes))}. Their threads "
            "compete "
            "for the same cores, and a fork after both are at work can hang",
            "Set OMP_NUM_THREADS to a task's share of the cores, or install packages that share one runtime",
        )


def _told(library: Library) -> str:
    threads = f", {library.threads} threads" if library.threads else ""
    return f"{library.version or 'of unknown version'}{threads} ({library.path})"
