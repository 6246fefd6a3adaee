"""Variants of one spec, as a DAG names them; pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from airflow_provider_aiopt.compare.loading import ROUND, round_name
from airflow_provider_aiopt.compare.planning import run_order
from airflow_provider_aiopt.compare.running import Mode, Variant
from airflow_provider_aiopt.exceptions import ComparisonError
from airflow_provider_aiopt.spec.loading import SpecLike, load_spec

BASELINE = "baseline"
"""Name of the spec as it is."""

Overrides: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Values by dotted key that replace those of the spec, by variant; ``mode`` is how it is run."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MODES = ("staged", "streaming")


def read_overrides(value: Overrides | str) -> dict[str, dict[str, Any]]:
    """Read the variants of a DAG, which templates give as JSON.

    :param value: a mapping or JSON
    :raises ComparisonError: if it is no mapping of names to settings
    """
    example = '{"large": {"execution.batch_size": 32}}'
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ComparisonError(f"variants is no JSON: {error}; give for example {example}") from None
    if not isinstance(found, Mapping) or not found:
        raise ComparisonError(f"variants must name at least one, for example {example}; found {found!r:.200}")
    for name, settings in found.items():
        if not _NAME.fullmatch(name) or name == BASELINE:
            raise ComparisonError(
                f"A variant is called {name!r}; a name has letters, digits, '.', '_' and '-', at most 64, "
                f"begins with a letter or digit, and is not {BASELINE!r}"
            )
        if not isinstance(settings, Mapping) or settings.get("mode", _MODES[0]) not in _MODES:
            raise ComparisonError(
                f"The variant {name} is {settings!r:.200}; it must be values by dotted key, for example "
                f"{example}, and its mode {' or '.join(_MODES)}"
            )
    return {name: dict(settings) for name, settings in found.items()}


def plan_turns(variants: Sequence[str], rounds: int, *, seed: int) -> list[str]:
    """Return which runs come after each other, as ``VARIANT/ROUND``.

    :param variants: names of the variants; the baseline is added
    :param rounds: how many rounds
    :param seed: of their orders
    :raises ComparisonError: if there is no round
    """
    if rounds < 1:
        raise ComparisonError(f"rounds is {rounds}; give 1 or more")
    orders = run_order([BASELINE, *variants], rounds, seed=seed)
    return [f"{name}/{round_name(number)}" for number, order in enumerate(orders, start=1) for name in order]


def variant_of(turn: str, spec: SpecLike, overrides: Overrides, mode: Mode) -> tuple[Variant, str]:
    """Return what a turn runs, and the name of its round.

    :param turn: as :func:`plan_turns` names it
    :param spec: the baseline
    :param overrides: the variants
    :param mode: how those are run that do not say it
    :raises ComparisonError: if it is no turn of these variants
    :raises SpecError: if the spec is wrong
    """
    name, _, number = turn.partition("/")
    if (name != BASELINE and name not in overrides) or not ROUND.fullmatch(number):
        known = ", ".join([BASELINE, *overrides])
        raise ComparisonError(f"{turn!r} is no run of a comparison: VARIANT/round-NNN, of {known}")
    settings = dict(overrides.get(name, {}))
    own: Mode = settings.pop("mode", mode)
    return Variant(name, load_spec(spec, overrides=settings), own), number
