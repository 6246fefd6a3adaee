"""Callables that a spec names by dotted path, where the deployment lets it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from airflow_provider_aiopt.exceptions import SpecError

_PATH = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+")


def split_prefixes(text: str) -> tuple[str, ...]:
    """Read a list of prefixes that are separated by commas or white space."""
    return tuple(text.replace(",", " ").split())


def load_callable(path: str, allowed: Sequence[str], *, where: str) -> Callable[..., Any]:
    """Import the function or class at *path*.

    Nothing is imported before *path* is found to be allowed.  What is found must also have been defined under
    one of the prefixes: a module that imports ``os.system`` does not lend it to a spec.

    :param path: its module and its name, for example ``my_package.datasets.photos``
    :param allowed: the packages, modules or full paths that a spec may name, and what lies below them
    :param where: the key and value that name it, which messages begin with
    :raises SpecError: if it is not allowed, is private, cannot be imported or cannot be called
    """
    if not _PATH.fullmatch(path):
        raise SpecError(
            f"{where} is no dotted path of a public callable; expected one like "
            "'my_package.my_module.my_function', no part of which begins with an underscore"
        )
    _require_allowed(where, path, allowed)
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except Exception as error:  # importing runs whatever the module holds
        raise SpecError(f"{where} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise SpecError(f"{where} is not callable: it is a value of type {type(found).__name__}")
    origin = f"{getattr(found, '__module__', None)}.{getattr(found, '__qualname__', name)}"
    _require_allowed(f"{where}, which is {origin},", origin, allowed)
    made: Callable[..., Any] = found
    return made


def lies_under(path: str, allowed: Sequence[str]) -> bool:
    """Return whether a dotted path is one of the prefixes in *allowed*, or lies below one."""
    prefixes = (prefix.rstrip(".") for prefix in allowed)
    return any(prefix and (path == prefix or path.startswith(f"{prefix}.")) for prefix in prefixes)


def _require_allowed(where: str, path: str, allowed: Sequence[str]) -> None:
    if not lies_under(path, allowed):
        raise SpecError(
            f"{where} is not allowed here; allowed is what lies under: {', '.join(allowed) or 'nothing'}. A "
            "deployment lists its prefixes in [aiopt] allowed_callables; aiopt run takes --allow-callables"
        )
