"""The table of the rules for ``docs/advisor.md``."""

from __future__ import annotations

from airflow_provider_aiopt.advisor.rules import RULES
from airflow_provider_aiopt.advisor.rules.base import Rule

_HEAD = "| rule | finds | changes | predicts | if | after |\n|---|---|---|---|---|---|\n"


def rules_table() -> str:
    """Return the rules as a Markdown table, in the registry's order."""
    return _HEAD + "".join(map(_row, RULES))


def _row(rule: Rule) -> str:
    mark = {"setting": "", "mode": " (mode)", "conditional": " (conditional)"}[rule.kind]
    cells = (f"`{rule.name}`{mark}", rule.finds, rule.changes, rule.formula, rule.assumptions, rule.reason)
    return f"| {' | '.join(cells)} |\n"
