"""Results and quarantine as tables for a terminal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from airflow_provider_aiopt.cli.terminal import one_line
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.data.quarantine import read_quarantine
from airflow_provider_aiopt.data.shards import read_parquet

_VECTOR_VALUES = 4


def results_table(folder: Folder, *, limit: int) -> Table:
    """Lay out the first results of a run, one to a row.

    :param folder: where its result files lie
    :param limit: rows at most
    """
    rows = list(itertools.islice(iter_results(folder), limit))
    table = _table("Results")
    classified = bool(rows) and "label" in rows[0]
    headings = ("Record", "Label", "Score", "Next best") if classified else ("Record", "Vector")
    for heading in headings:
        table.add_column(heading, overflow="fold", justify="right" if heading == "Score" else "left")
    for row in rows:
        table.add_row(*map(Text, _classified(row) if classified else _vector(row)))
    return table


def quarantine_table(folder: Folder, *, limit: int) -> Table:
    """Lay out the first quarantined records of a run, one to a row.

    :param folder: the run's quarantine folder
    :param limit: rows at most
    """
    records = read_quarantine(folder)
    table = _table(f"Quarantine: {len(records)} records, the first {min(limit, len(records))}")
    for heading in ("Record", "Stage", "Error", "Message"):
        table.add_column(heading, overflow="fold")
    for record in records[:limit]:
        cells = (one_line(record.id), record.stage, record.error_class, one_line(record.message))
        table.add_row(*map(Text, cells))
    return table


def iter_results(folder: Folder) -> Iterator[dict[str, Any]]:
    """Yield a run's results in the order of its shards."""
    for name in folder.names():
        if name.endswith(".parquet"):
            yield from read_parquet(folder.read(name)).to_pylist()


def _table(title: str) -> Table:
    return Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)


def _classified(row: dict[str, Any]) -> tuple[str, str, str, str]:
    others = ", ".join(f"{item['label']} {item['score']:.2f}" for item in row["top_k"][1:3])
    return one_line(row["id"]), row["label"], f"{row['score']:.3f}", others


def _vector(row: dict[str, Any]) -> tuple[str, str]:
    values = row.get("embedding") or row.get("output") or []
    shown = ", ".join(f"{value:.3f}" for value in values[:_VECTOR_VALUES])
    more = f", ... ({len(values)} values)" if len(values) > _VECTOR_VALUES else ""
    return one_line(row["id"]), f"[{shown}{more}]"
