"""Targets, and the file and the tables that a benchmark leaves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_LEAST_WIDTH = 120
"""Of a log: a table that is cut tells nothing."""


@dataclass(frozen=True)
class Check:
    """A figure beside its target.

    :param name: what was measured
    :param value: the figure
    :param target: what it has to reach
    :param at_most: whether *target* is the most that is allowed, rather than the least
    """

    name: str
    value: float
    target: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure reaches its target."""
        return self.value <= self.target if self.at_most else self.value >= self.target

    def to_dict(self) -> dict[str, Any]:
        """Return the check as plain values."""
        return asdict(self) | {"met": self.met}


def checks_table(checks: Iterable[Check]) -> Table:
    """Return the checks as a table."""
    rows = [
        (
            check.name,
            f"{check.value:.3f}",
            f"{'<=' if check.at_most else '>='} {check.target:g}",
            "met" if check.met else "[bold red]missed[/]",
        )
        for check in checks
    ]
    return table("Targets", ("", "measured", "target", ""), rows)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table whose first column is text and whose others are numbers."""
    result = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        result.add_column(column, justify="right" if number else "left")
    for row in rows:
        result.add_row(*row)
    return result


def conclude(
    name: str, values: Mapping[str, Any], tables: Iterable[Table], checks: Sequence[Check], folder: Path
) -> Path:
    """Print the tables and the checks, and write everything to ``<name>.json`` in *folder*."""
    console = Console()
    console.width = max(console.width, _LEAST_WIDTH)
    for item in tables:
        console.print(item)
    if checks:
        console.print(checks_table(checks))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    content = {"benchmark": name, **values, "checks": [check.to_dict() for check in checks]}
    path.write_text(json.dumps(content, indent=2) + "\n")
    console.print(f"Results: {path}", markup=False, highlight=False, soft_wrap=True)
    return path
