"""Changing values in the text of a spec file, its comments and order kept; pure."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from airflow_provider_aiopt.exceptions import SpecError

_KEY = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z_][\w-]*):(?P<rest>.*)")
_COMMENT = re.compile(r"(?P<gap>\s+)(?P<comment>#.*)$")
_INDENT = 2


def changed_text(text: str, changes: Mapping[str, Any], *, is_json: bool = False) -> str:
    """Return the text of a spec file with other values.

    YAML is edited line by line, so that comments and order stay; where that cannot be, as in values written
    in braces, it is written anew and its comments are lost.

    :param text: of a YAML or JSON file that holds a mapping
    :param changes: values by dotted key; None removes a key
    :param is_json: whether it is JSON
    :raises SpecError: if it holds no mapping
    """
    before = json.loads(text) if is_json else yaml.safe_load(text)
    if not isinstance(before, dict):
        raise SpecError(f"A spec must hold a mapping at its top level; found {type(before).__name__}")
    wanted = before
    for key, value in changes.items():
        wanted = _changed(wanted, key.split("."), value)
    if is_json:
        return json.dumps(wanted, indent=_INDENT, ensure_ascii=False) + "\n"
    lines = text.splitlines()
    for key, value in changes.items():
        lines = _edited(lines, key.split("."), value)
    edited = "\n".join(lines) + "\n"
    try:
        if yaml.safe_load(edited) == wanted:
            return edited
    except yaml.YAMLError:
        pass
    return yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True)


def unified_diff(before: str, after: str, name: str) -> str:
    """Return a diff that ``patch`` and ``git apply -p0`` understand, empty where nothing changes.

    :param before: the file's text
    :param after: the new text
    :param name: the file's path
    """
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True), name, name
        )
    )


def _changed(data: Mapping[str, Any], keys: Sequence[str], value: Any) -> dict[str, Any]:
    head, *rest = keys
    if rest:
        inner = data.get(head) or {}
        return {**data, head: _changed(inner if isinstance(inner, Mapping) else {}, rest, value)}
    if value is None:
        return {key: item for key, item in data.items() if key != head}
    return {**data, head: value}


def _edited(lines: Sequence[str], keys: Sequence[str], value: Any) -> list[str]:
    """Return the lines with one value set, its sections made where they are missing."""
    start, end, indent = 0, len(lines), 0
    for depth, key in enumerate(keys):
        found = _find(lines, start, end, indent, key)
        last = depth == len(keys) - 1
        if found is None:
            new = [] if value is None else _new_lines(indent, keys[depth:], value)
            return _inserted(lines, start, end, new)
        stop = _block_end(lines, found, end, indent)
        if last:
            return [*lines[:found], *_replaced(lines[found], value), *lines[stop:]]
        start, end = found + 1, stop
        indent = _indent_of(lines, start, end, indent + _INDENT)
    return list(lines)


def _find(lines: Sequence[str], start: int, end: int, indent: int, key: str) -> int | None:
    for number in range(start, end):
        match = _KEY.fullmatch(lines[number])
        if match and match["key"] == key and len(match["indent"]) == indent:
            return number
    return None


def _block_end(lines: Sequence[str], start: int, end: int, indent: int) -> int:
    """Return the line after the last that belongs to the key at *start*."""
    stop = start + 1
    for number in range(start + 1, end):
        line = lines[number]
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        inner = len(line) - len(line.lstrip())
        if inner < indent or (inner == indent and not line.lstrip().startswith("- ")):
            break
        stop = number + 1
    return stop


def _indent_of(lines: Sequence[str], start: int, end: int, default: int) -> int:
    for line in lines[start:end]:
        if line.strip() and not line.lstrip().startswith("#"):
            return len(line) - len(line.lstrip())
    return default


def _replaced(line: str, value: Any) -> list[str]:
    if value is None:
        return []
    match = _KEY.fullmatch(line)
    assert match is not None  # noqa: S101 - it was found by it
    comment = _COMMENT.search(match["rest"])
    tail = f"{comment['gap']}{comment['comment']}" if comment else ""
    return [f"{match['indent']}{match['key']}: {_shown(value)}{tail}"]


def _inserted(lines: Sequence[str], start: int, end: int, new: Sequence[str]) -> list[str]:
    """Return the lines with new ones after the last of a section that is not empty."""
    stop = end
    while stop > start and not lines[stop - 1].strip():
        stop -= 1
    return [*lines[:stop], *new, *lines[stop:]]


def _new_lines(indent: int, keys: Sequence[str], value: Any) -> list[str]:
    last = len(keys) - 1
    return [
        f"{' ' * (indent + _INDENT * depth)}{key}:" + (f" {_shown(value)}" if depth == last else "")
        for depth, key in enumerate(keys)
    ]


def _shown(value: Any) -> str:
    """Return a value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
