"""The ways from an upload to a run that ``python -m benchmarks.latency`` compares.

A further one is a module here with a subclass of :class:`~benchmarks.latency_systems.base.System`.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from benchmarks.latency_systems.base import System


def systems() -> dict[str, System]:
    """Return one of every system by its name, in the order of their modules and classes."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        import_module(module.name)
    return {kind.name: kind() for kind in _below(System) if not inspect.isabstract(kind)}


def _below(kind: type[Any]) -> Iterator[type[System]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)
