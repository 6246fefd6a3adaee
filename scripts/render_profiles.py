"""Render the profiles of ``airflow_provider_aiopt/profiles``: a page's tables, and variables for Compose.

``docs/concurrency.md`` has all of them, ``compose/low-latency.env`` the one of ``docker-compose.yaml``.  With
``--check`` nothing is written: the exit code is 1 where one of the files is not up to date.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from airflow_provider_aiopt.deployment.profiles import load_profile
from airflow_provider_aiopt.deployment.rendering import as_env, settings_tables

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "concurrency.md"
BEGIN = "<!-- rendered by scripts/render_profiles.py -->\n"
END = "<!-- end of what is rendered -->\n"
ENVIRONMENT = ROOT / "compose" / "low-latency.env"
ENVIRONMENT_HEAD = "# Rendered by scripts/render_profiles.py for docker-compose.yaml: change the profile.\n"


def rendered(page: str) -> str:
    """Return the page with the tables as they are now between its two marks."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} lacks one of its marks: {BEGIN.strip()} or {END.strip()}")
    return f"{head}{begin}\n{settings_tables()}\n{end}{tail}"


def rendered_files() -> dict[Path, str]:
    """Return what each file should hold."""
    return {
        PAGE: rendered(PAGE.read_text(encoding="utf-8")),
        ENVIRONMENT: ENVIRONMENT_HEAD + as_env(load_profile("low-latency")),
    }


def main() -> int:
    """Render, or check, the files; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say which files are out of date")
    check = parser.parse_args().check
    stale = [
        (path, content)
        for path, content in rendered_files().items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]
    for path, content in stale:
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")
        print(f"{'out of date' if check else 'rendered'}: {path.relative_to(ROOT)}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
