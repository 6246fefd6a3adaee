"""Trees of calls with the time in them, from profiles of either form: pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import NamedTuple

Function = tuple[str, int, str]
"""File, line and name, as :mod:`pstats` has them."""

Edge = tuple[int, int, float, float]
"""Calls without recursion, all calls, seconds in the function itself, seconds in it and all it called."""

Entry = tuple[int, int, float, float, Mapping[Function, Edge]]
"""The same of a function, and those of its calls by caller."""

_LEAST_SHARE = 0.0005
_DEEPEST = 80


@dataclass
class Node:
    """A call, or all calls along one path.

    :param name: what is called
    :param value: time, or samples, in it and in all that it called
    :param calls: what it called
    """

    name: str
    value: float
    calls: list[Node] = field(default_factory=list)


class _Call(NamedTuple):
    function: Function
    seconds: float


def tree_of_statistics(statistics: Mapping[Function, Entry]) -> Node:
    """Return the most likely call tree of a deterministic profile.

    Such a profile knows who called whom and how long that took, but no whole paths.  A function's time is
    shared out among its callees in the same proportions on each path to it; what calls itself again is not
    followed.  Functions that nobody profiled called are the tree's first row.

    :param statistics: :attr:`pstats.Stats.stats`
    """
    called: dict[Function, list[_Call]] = defaultdict(list)
    roots = []
    for function, (_, _, _, cumulative, callers) in statistics.items():
        for caller, edge in callers.items():
            called[caller].append(_Call(function, edge[3]))
        left = cumulative - sum(edge[3] for edge in callers.values())
        if not callers or left > _LEAST_SHARE * cumulative:
            roots.append(_Call(function, cumulative if not callers else left))
    total = sum(root.seconds for root in roots)
    builder = _Builder(statistics, called, total * _LEAST_SHARE)
    made = [builder.node(root, frozenset()) for root in roots if root.seconds >= total * _LEAST_SHARE]
    return Node("all threads", total, made)


@dataclass(frozen=True)
class _Builder:
    statistics: Mapping[Function, Entry]
    called: Mapping[Function, list[_Call]]
    least: float

    def node(self, call: _Call, path: frozenset[Function]) -> Node:
        function, seconds = call
        node = Node(label(function), seconds)
        inside = path | {function}
        whole = self.statistics[function][3]
        if not whole or len(inside) > _DEEPEST:
            return node
        room = seconds
        for callee in sorted(self.called.get(function, ()), key=lambda item: -item.seconds):
            share = min(callee.seconds * seconds / whole, room)
            if callee.function not in inside and share >= self.least:
                node.calls.append(self.node(_Call(callee.function, share), inside))
                room -= share
        return node


def tree_of_stacks(lines: Iterable[str]) -> Node:
    """Return the call tree of sampled stacks.

    :param lines: each ``outermost;...;innermost COUNT``
    """
    root = Node("all threads", 0)
    for line in lines:
        stack, _, count = line.strip().rpartition(" ")
        if not stack or not count.isdecimal():
            continue
        node = root
        node.value += int(count)
        for name in stack.split(";"):
            found = next((item for item in node.calls if item.name == name), None)
            if found is None:
                found = Node(name, 0)
                node.calls.append(found)
            found.value += int(count)
            node = found
    return root


def label(function: Function) -> str:
    """Return what to call a function: ``name (file:line)``, or the bare name of a built-in one."""
    file, line, name = function
    return name if file == "~" else f"{name} ({'/'.join(PurePath(file).parts[-2:])}:{line})"
