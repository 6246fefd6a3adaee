"""Render the doctor's tables in ``docs/doctor.md`` and the JSON Schema of its report.

With ``--check`` nothing is written: the exit code is 1 where a file is not up to date.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from airflow_provider_aiopt.doctor.catalogue import CHECKS
from airflow_provider_aiopt.doctor.compatibility import load_compatibility
from airflow_provider_aiopt.doctor.rendering import checks_table, report_schema, versions_table

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, SCHEMA = DOCS / "doctor.md", DOCS / "doctor.schema.json"
BEGIN = "<!-- {name}: rendered by scripts/render_doctor.py -->\n"
END = "<!-- end of {name} -->\n"


def rendered(page: str) -> str:
    """Return the page with the tables as they are now between their marks."""
    tables = {"checks": checks_table(CHECKS), "versions": versions_table(load_compatibility())}
    for name, table in tables.items():
        begin, end = BEGIN.format(name=name), END.format(name=name)
        head, first, rest = page.partition(begin)
        _, last, tail = rest.partition(end)
        if not first or not last:
            raise ValueError(f"{PAGE.name} lacks one of its marks: {begin.strip()} or {end.strip()}")
        page = f"{head}{begin}\n{table}\n{end}{tail}"
    return page


def main() -> int:
    """Render, or check, both files; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say which files are out of date")
    check = parser.parse_args().check
    wanted = {PAGE: rendered(PAGE.read_text(encoding="utf-8")), SCHEMA: report_schema()}
    stale = [
        path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if not check:
            path.write_text(wanted[path], encoding="utf-8")
        print(f"{'out of date' if check else 'rendered'}: docs/{path.name}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
