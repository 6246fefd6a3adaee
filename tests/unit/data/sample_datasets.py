"""Data sets that the tests name by dotted path; on no path that a deployment would list."""

from __future__ import annotations

from collections.abc import Iterator
from os import system  # noqa: F401 - borrowed, and so not lent to a spec

from airflow_provider_aiopt.data.records import Record  # noqa: F401 - the same

not_callable = 7


def numbers(count: int = 5) -> list[str]:
    """A data set with items by number."""
    return [f"text {number}" for number in range(count)]


def stream(count: int = 5) -> Iterator[str]:
    """An iterator that serves one pass."""
    yield from numbers(count)


def _private() -> list[str]:
    return []
