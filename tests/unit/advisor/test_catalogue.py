from __future__ import annotations

from pathlib import Path

from airflow_provider_aiopt.advisor.catalogue import rules_table
from airflow_provider_aiopt.advisor.rules import RULES

PAGE = Path(__file__).resolve().parents[3] / "docs" / "advisor.md"


def test_the_page_has_the_rules_as_they_are() -> None:
    assert rules_table() in PAGE.read_text(), "run scripts/render_advisor.py"


def test_no_cell_breaks_the_table() -> None:
    rows = rules_table().splitlines()[2:]
    assert len(rows) == len(RULES)
    assert {row.count("|") for row in rows} == {7}
