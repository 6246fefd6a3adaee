"""Which functions to profile line by line, and putting something in their place for a while."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

from airflow_provider_aiopt.data.callables import lies_under
from airflow_provider_aiopt.exceptions import ProfilingError

PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Target:
    """A function where it is looked up by its callers.

    :param owner: the module or class that has it
    :param name: its name there
    :param function: the function
    """

    owner: Any
    name: str
    function: FunctionType

    @property
    def path(self) -> str:
        """Its dotted path."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    def replace(self, made: Callable[..., Any]) -> None:
        """Put *made* in its place."""
        setattr(self.owner, self.name, made)

    def restore(self) -> None:
        """Put it back."""
        setattr(self.owner, self.name, self.function)


def functions_of(subject: object) -> Iterator[Target]:
    """Yield the functions that make up an object: its class's methods, and its module's functions.

    :param subject: a transform, an output head, a stage
    """
    kind = type(getattr(subject, "made", subject))  # of a custom transform the deployment's own
    yield from _within(kind)
    module = inspect.getmodule(kind)
    if module is not None:
        yield from _within(module)


def named_functions(path: str, allowed: Sequence[str]) -> list[Target]:
    """Return the functions that a dotted path names: one, those of a class, or those of a module.

    :param path: for example ``my_package.transforms.Spectrum.prepare``
    :param allowed: prefixes outside this package that may be named
    :raises ProfilingError: if it is not allowed, is not found, or has no function written in Python
    """
    if not lies_under(path, (PACKAGE, *allowed)):
        raise ProfilingError(
            f"The function {path!r} may not be profiled here: it lies neither in {PACKAGE} nor under a "
            f"prefix of [aiopt] allowed_callables or --allow-callables ({', '.join(allowed) or 'none'}), and "
            "profiling it would import its module"
        )
    owner, name, found = _find(path)
    if isinstance(found, FunctionType) and name is not None:
        return [Target(owner, name, found)]
    targets = list(_within(found)) if inspect.isclass(found) or isinstance(found, ModuleType) else []
    if not targets:
        raise ProfilingError(
            f"The function {path!r} cannot be profiled line by line: it is a value of type "
            f"{type(found).__name__}. Name a function, a class or a module that is written in Python"
        )
    return targets


def _within(owner: Any) -> Iterator[Target]:
    module = owner.__name__ if isinstance(owner, ModuleType) else owner.__module__
    for name, value in list(vars(owner).items()):
        # What a module imports, and what a decorator made elsewhere, is not its own.
        if isinstance(value, FunctionType) and value.__module__ == module:
            yield Target(owner, name, value)


def _find(path: str) -> tuple[Any, str | None, Any]:
    """Return what has the last part of *path*, that part where it is an attribute, and what it is."""
    parts = path.split(".")
    for number in range(len(parts), 0, -1):
        try:
            found: Any = import_module(".".join(parts[:number]))
        except ModuleNotFoundError as error:
            if error.name is not None and ".".join(parts[:number]).startswith(error.name):
                continue
            raise ProfilingError(f"The function {path!r} cannot be imported: {error}") from error
        except Exception as error:  # importing runs whatever the module holds
            raise ProfilingError(
                f"The function {path!r} cannot be imported: {type(error).__name__}: {error}"
            ) from error
        owner, name = found, None
        for part in parts[number:]:
            owner, name = found, part
            found = inspect.getattr_static(found, part, None)
        if found is not None:
            return owner, name, found
        break
    raise ProfilingError(f"There is no function {path!r}. Name it as module.function or module.Class.method")
