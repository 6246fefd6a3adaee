"""Flame graphs as SVG files that need no script: the widths are time, each row calls the one below it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape

from airflow_provider_aiopt.profiling.call_tree import Node

_WIDTH = 1200
_ROW = 18
_MARGIN = 10
_HEADER = 44
_LETTER = 7.2  # pixels that a letter of the font takes on average
_NARROWEST = 1.0  # pixels: what is narrower cannot be told apart
_WAITS = ("'acquire'", "'get' of '_queue", "select", "sleep", "poll", "'recv")


def flame_graph(root: Node, title: str, show: Callable[[float], str]) -> str:
    """Draw *root* from the top down, the widest call of each row first.

    Built-in calls that only wait are grey, the others in warm colours that depend on their names alone, so
    that two graphs are easily compared.  A call's title, which browsers show under the pointer, says what its
    width means.

    :param root: the tree
    :param title: the line above it
    :param show: writes a value with its unit
    """
    boxes = list(_boxes(root, _MARGIN, _WIDTH - 2 * _MARGIN, 0))
    depth = 1 + max(box.row for box in boxes)
    height = _HEADER + depth * _ROW + _MARGIN
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    font = 'font-family="DejaVu Sans, Verdana, sans-serif" font-size="11"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{_MARGIN}" y="26" font-size="15" fill="#1f2937">{escape(title)}</text>',
        *(_draw(box, root.value, show) for box in boxes),
        "</svg>\n",
    ]
    return "\n".join(parts)


@dataclass(frozen=True, slots=True)
class _Box:
    node: Node
    x: float
    width: float
    row: int


def _boxes(node: Node, x: float, width: float, row: int) -> Iterator[_Box]:
    yield _Box(node, x, width, row)
    for call in sorted(node.calls, key=lambda item: -item.value):
        part = width * call.value / node.value if node.value else 0.0
        if part >= _NARROWEST:
            yield from _boxes(call, x, part, row + 1)
        x += part


def _draw(box: _Box, total: float, show: Callable[[float], str]) -> str:
    y = _HEADER + box.row * _ROW
    share = box.node.value / total if total else 0.0
    told = f"{box.node.name}: {show(box.node.value)}, {share:.1%}"
    letters = int((box.width - 6) / _LETTER)
    text = ""
    if letters > 2:  # noqa: PLR2004 - fewer say nothing
        name = box.node.name if len(box.node.name) <= letters else f"{box.node.name[: letters - 1]}…"
        text = f'<text x="{box.x + 3:.1f}" y="{y + 12.5:.1f}" fill="#111827">{escape(name)}</text>'
    return (
        f"<g><title>{escape(told)}</title>"
        f'<rect x="{box.x:.1f}" y="{y}" width="{max(box.width - 0.5, 0.3):.1f}" height="{_ROW - 1}" rx="1" '
        f'fill="{_colour(box.node.name)}"/>{text}</g>'
    )


def _colour(name: str) -> str:
    if name.startswith(("<", "{")) and any(wait in name for wait in _WAITS):
        return "#d1d5db"
    seed = zlib.crc32(name.encode())
    return f"hsl({18 + seed % 34}, {72 + seed // 64 % 20}%, {62 + seed // 4096 % 14}%)"
