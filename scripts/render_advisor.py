"""Render the table of the advisor's rules in ``docs/advisor.md``.

With ``--check`` nothing is written: the exit code is 1 where the page is not up to date.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from airflow_provider_aiopt.advisor.catalogue import rules_table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "advisor.md"
BEGIN = "<!-- rendered by scripts/render_advisor.py -->\n"
END = "<!-- end of what is rendered -->\n"


def rendered(page: str) -> str:
    """Return the page with the table as it is now between its two marks."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} lacks one of its marks: {BEGIN.strip()} or {END.strip()}")
    return f"{head}{begin}\n{rules_table()}\n{end}{tail}"


def main() -> int:
    """Render, or check, the page; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the page is out of date")
    check = parser.parse_args().check
    page = PAGE.read_text(encoding="utf-8")
    stale = rendered(page) != page
    if stale:
        if not check:
            PAGE.write_text(rendered(page), encoding="utf-8")
        print(f"{'out of date' if check else 'rendered'}: docs/{PAGE.name}")
    return int(check and stale)


if __name__ == "__main__":
    sys.exit(main())
