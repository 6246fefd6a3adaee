"""Render ``docs/metrics.md`` and the ``statsd_exporter`` mapping from the metric catalogue.

With ``--check`` nothing is written: the exit code is 1 where a file is not up to date.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from airflow_provider_aiopt.telemetry.exposition import metrics_page, statsd_mapping

ROOT = Path(__file__).resolve().parents[1]
RENDERED = {
    ROOT / "docs" / "metrics.md": metrics_page,
    ROOT / "airflow_provider_aiopt" / "telemetry" / "statsd_mapping.yaml": statsd_mapping,
}


def main() -> int:
    """Render, or check, every file; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say which files are out of date")
    check = parser.parse_args().check
    stale = [path for path, render in RENDERED.items() if not path.exists() or path.read_text() != render()]
    for path in stale:
        if not check:
            path.write_text(RENDERED[path]())
        print(f"{'out of date' if check else 'rendered'}: {path.relative_to(ROOT)}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
