"""Render the Grafana dashboard, ``monitoring/grafana/dashboards/aiopt.json``, from ``stage_dashboard``.

With ``--check`` nothing is written: the exit code is 1 where the file is not up to date.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stage_dashboard import dashboard_json

ROOT = Path(__file__).resolve().parents[1]
DASHBOARD = ROOT / "monitoring" / "grafana" / "dashboards" / "aiopt.json"


def main() -> int:
    """Render, or check, the dashboard; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the file is out of date")
    check = parser.parse_args().check
    content = dashboard_json()
    stale = not DASHBOARD.exists() or DASHBOARD.read_text(encoding="utf-8") != content
    if stale:
        if not check:
            DASHBOARD.write_text(content, encoding="utf-8")
        print(f"{'out of date' if check else 'rendered'}: {DASHBOARD.relative_to(ROOT)}")
    return int(check and stale)


if __name__ == "__main__":
    sys.exit(main())
