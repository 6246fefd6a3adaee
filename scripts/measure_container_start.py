"""Measure how long the runtime image takes from ``podman run`` to the first batch, and where that goes.

Each round starts a container that classifies one photograph with the builtin model, with a read-only root and
without a network, and reads from the engine when its process started and from the stages' reports when the
first batch was done.  Medians over the rounds are printed, with the quickest and the slowest.

Usage: ``python scripts/measure_container_start.py [--image IMAGE] [--runs 7]``
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from airflow_provider_aiopt import __version__

ROOT = Path(__file__).resolve().parents[1]
PHOTOGRAPH = ROOT / "examples" / "photographs" / "flower.jpg"
USER = 50000
SPEC = {
    "name": "one",
    "source": {"uri": "/photograph.jpg"},
    "model": {"uri": "builtin:efficientnet-lite0-int8", "device": "cpu"},
    "postprocess": {"kind": "classification"},
}
# As Go writes times, with microseconds: nanoseconds are more than fromisoformat takes.
STARTED = '{{.State.StartedAt.Format "2006-01-02T15:04:05.000000Z07:00"}}'


def steps(
    began: float, started: float, ended: float, reports: dict[str, dict[str, object]]
) -> dict[str, float]:
    """Return when each step was done, in seconds since the engine was called.

    :param began: when the engine was called, in seconds since 1970
    :param started: when it had started the process
    :param ended: when it had returned
    :param reports: the stages' reports by stage
    """

    def at(stage: str, moment: str) -> float:
        return datetime.fromisoformat(str(reports[stage][moment])).timestamp() - began

    return {
        "container and process started": started - began,
        "modules imported, spec read": at("ingest", "started_at"),
        "first batch inferred, model load included": at("inference", "ended_at"),
        "results written": at("postprocess", "ended_at"),
        "container removed": ended - began,
    }


def one_round(engine: list[str], image: str, folder: Path, options: list[str]) -> dict[str, float]:
    """Run one container and return its steps.

    :param folder: an empty one; the container's user writes into it
    """
    (folder / "spec.json").write_text(json.dumps(SPEC))
    work = folder / "work"
    work.mkdir()
    os.chown(work, USER, 0)
    name = f"aiopt-start-{os.getpid()}-{folder.name}".lower()
    command = [
        *(*engine, "run", f"--name={name}", "--pull=never", "--network=none", "--read-only", "--tmpfs=/tmp"),
        *(f"--volume={folder / 'spec.json'}:/spec.json:ro", f"--volume={PHOTOGRAPH}:/photograph.jpg:ro"),
        *(f"--volume={work}:/opt/aiopt", *options, image),
        *("run", "/spec.json", "--run-id=r", "--mode=streaming", "--json"),
    ]
    began = time.time()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    try:
        ask = [*engine, "inspect", "--format", STARTED, name]
        shown = subprocess.run(ask, capture_output=True, check=True)
    finally:
        subprocess.run([*engine, "rm", "--force", name], stdout=subprocess.DEVNULL, check=True)
    ended = time.time()
    started = datetime.fromisoformat(shown.stdout.decode().strip()).timestamp()
    paths = (work / "runs/one/r/reports").glob("*.json")
    reports = {report["stage"]: report for report in map(json.loads, (path.read_text() for path in paths))}
    return steps(began, started, ended, reports)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--image", default=f"aiopt-runtime:{__version__}")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--engine", default="podman", help='with its options, as "podman --runtime runc"')
    parser.add_argument("--option", action="append", default=[], help="further option of the engine's run")
    parser.add_argument("--json", action="store_true", help="print every round as JSON instead")
    chosen = parser.parse_args()
    rounds = []
    for _ in range(chosen.runs):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(one_round(shlex.split(chosen.engine), chosen.image, Path(folder), chosen.option))
    if chosen.json:
        json.dump(rounds, sys.stdout)
        return
    table = Table("Seconds until", "median", "quickest", "slowest")
    for step in rounds[0]:
        seconds = [one[step] for one in rounds]
        shown = (statistics.median(seconds), min(seconds), max(seconds))
        table.add_row(step, *(f"{value:.2f}" for value in shown))
    Console().print(table)


if __name__ == "__main__":
    main()
