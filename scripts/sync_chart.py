"""Copy rules, dashboard, statsd mapping and the low-latency profile into the Helm chart.

Helm reads no file outside a chart.  With ``--check`` nothing is written: the exit code is 1 where a copy is
not up to date.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import yaml

from airflow_provider_aiopt.deployment.profiles import load_profile
from airflow_provider_aiopt.deployment.rendering import as_helm
from airflow_provider_aiopt.telemetry.exposition import statsd_mapping

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "helm" / "airflow-provider-aiopt"
MONITORING = ROOT / "monitoring"
BEGIN = "  # <rendered by scripts/sync_chart.py from airflow_provider_aiopt/profiles>\n"
END = "  # </rendered>\n"
MAPPINGS = "    extraMappings:\n"
PROFILE = "low-latency"
SECTION = "scheduler:\n"
QUEUED = """\
  # Seconds that a task may wait for a free worker; after the third time Airflow fails it, whatever its
  # retries. Default: 600. A worker that KEDA starts, a GPU node that is made for it, and shards that wait
  # for those before them take longer. Longer than it takes the workers to get through the largest run.
  # Cost: A task whose message the broker lost is queued anew an hour later.
  task_queued_timeout: "3600"
"""
"""Of this chart as of compose, whatever the profile."""


def chart_files() -> dict[Path, str]:
    """Return what the chart's files have to hold, by their paths."""
    rules = sorted((MONITORING / "prometheus" / "rules").glob("*.yaml"))
    dashboards = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
    files = {CHART / "files" / "rules" / path.name: _text(path) for path in rules}
    files |= {CHART / "files" / "dashboards" / path.name: _text(path) for path in dashboards}
    return files | {CHART / "values.yaml": rendered(_text(CHART / "values.yaml"))}


def rendered(values: str) -> str:
    """Return values.yaml with its two rendered parts as they are now.

    :param values: its text
    :raises ValueError: if it lacks a mark
    """
    head, begin, rest = values.partition(BEGIN)
    _, end, rest = rest.partition(END)
    middle, mappings, _ = rest.partition(MAPPINGS)
    if not (begin and end and mappings):
        raise ValueError(f"values.yaml lacks a mark: {BEGIN.strip()}, {END.strip()} or {MAPPINGS.strip()}")
    return f"{head}{begin}{_profile()}{end}{middle}{mappings}{_mappings()}"


def out_of_date(files: Mapping[Path, str]) -> list[Path]:
    """Return the files that do not hold what they have to, and those that should not be there.

    :param files: contents by path
    """
    found = {path for path in (CHART / "files").rglob("*") if path.is_file()}
    stale = [path for path, text in files.items() if not path.exists() or _text(path) != text]
    return sorted([*stale, *(found - set(files))])


def _profile() -> str:
    head, section, rest = as_helm(load_profile(PROFILE)).partition(SECTION)
    if not section:
        raise ValueError(f"profile {PROFILE} sets nothing in [{SECTION.strip().rstrip(':')}]")
    text = f"{head}{section}{textwrap.indent(QUEUED, '  ')}{rest}"
    return textwrap.indent(text, "  ", lambda line: bool(line.strip()))


def _mappings() -> str:
    # An entry a line: Helm has no way to take them from a file, and nobody reads them here.
    entries = yaml.safe_load(statsd_mapping())["mappings"]
    return "".join(f"    - {json.dumps(entry)}\n" for entry in entries)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def main() -> int:
    """Copy, or check the copies; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say which copies are out of date")
    check = parser.parse_args().check
    files = chart_files()
    stale = out_of_date(files)
    for path in stale:
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], encoding="utf-8") if path in files else path.unlink()
        print(f"{'out of date' if check else 'written'}: {path.relative_to(ROOT)}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
