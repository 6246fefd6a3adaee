"""Render what ``make bench-simulation`` found into ``docs/simulation.md`` and ``docs/scaling.md``.

Each table of the guide to scaling is what the command above it answers, from the service times that the
benchmark kept.  With ``--check`` nothing is written: the exit code is 1 where a page is not up to date.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from airflow_provider_aiopt.cli.main import main as aiopt
from airflow_provider_aiopt.telemetry import units

ROOT = Path(__file__).resolve().parents[1]
SCALING = ROOT / "docs" / "scaling.md"
ERRORS = ROOT / "docs" / "simulation.md"
PREDICTED = ROOT / "benchmarks" / "results" / "simulation.json"
MEASURED = "benchmarks/results/simulation_streaming.json"
END = "<!-- end of what is simulated -->\n"

_LIMITS = {"steps": "the steps themselves"}

SHARDS = ("--items", "10_000", "--shards", "1,2,4,8,32", "--workers", "4", "--repetitions", "5")
MACHINES = (
    "--items",
    "100_000",
    "--machines",
    "1,2,4,8,16",
    "--workers",
    "1",
    "--shards",
    "64",
    "--repetitions",
    "5",
)
LOAD = ("--arrivals", "10_000_000/day", "--p95", "60s")


def begin(name: str) -> str:
    """Return the mark before what *name* renders."""
    return f"<!-- simulated by scripts/render_simulated.py: {name} -->\n"


def makespans(field: str) -> Callable[[dict[str, Any]], str]:
    """Return what makes a table of predictions.

    :param field: the configuration's field that has the first column
    """

    def table(answer: dict[str, Any]) -> str:
        rows = [
            (
                str(item["configuration"][field]),
                units.duration(item["makespan_s"]["mean"]),
                units.rate(item["items"] / item["makespan_s"]["mean"]),
                units.share(item["core_share"]),
                _LIMITS.get(item["limit"]["name"], item["limit"]["name"]),
            )
            for item in answer["predictions"]
        ]
        return _table((field, "simulated makespan", "photographs/s", "cores busy", "limit"), rows)

    return table


def load_table(answer: dict[str, Any]) -> str:
    """Return what a plan says as a table."""
    best = answer["plan"]["best"]
    found, batching = best["configuration"], best["batching"]
    window = f"{batching['window_s']:g}, {units.count(batching['max_batch'])}"
    rows = [
        ("machines of 2 cores, workers of each", f"{found['machines']}, {found['workers']}"),
        ("shards, active runs", f"{found['shards']}, {found['active_runs']}"),
        ("window_s, max_batch", f"{window}: {best['runs_per_hour']:.0f} runs an hour"),
        ("upload to results, p50 and p95", _durations(best["p50_s"], best["p95_s"])),
        ("cores busy", units.share(best["core_share"])),
        ("the same under more load, up to", f"{answer['plan']['growth']:g} times"),
    ]
    rows += [(f"with {less['change']}", _less(less["service"])) for less in answer["plan"]["less"]]
    return _table(("", "simulated"), rows)


TABLES: dict[str, tuple[Sequence[str], Callable[[dict[str, Any]], str]]] = {
    "shards": (SHARDS, makespans("shards")),
    "machines": (MACHINES, makespans("machines")),
    "load": (LOAD, load_table),
}
"""What is rendered: the options of ``aiopt simulate``, and what makes a table of its answer."""


def simulated_page(page: str) -> str:
    """Return the guide to scaling with what is simulated now between its marks."""
    for name, (options, table) in TABLES.items():
        # Neighbours, where there were any: nobody else is to be on the machines that are asked about.
        command = ["simulate", MEASURED, "--neighbours", "0", *options]
        shown = shlex.join(["aiopt", *command])
        page = _between(page, name, f"```bash\n{shown}\n```\n\n{table(_answer(command))}")
    return page


def errors_page(page: str) -> str:
    """Return the simulation's page with the errors that were measured last."""
    if not PREDICTED.exists():
        return _between(page, "errors", "Not measured yet.\n")
    found = json.loads(PREDICTED.read_text(encoding="utf-8"))
    errors = [row["error"] for row in found]
    rows = [
        (
            row["configuration"],
            f"{row['predicted_s']:.2f}",
            f"{row['measured_s']:.2f}",
            f"{row['predicted_s'] / row['measured_s'] - 1:+.1%}",
        )
        for row in found
    ]
    images = found[0]["images"]
    summary = f"Median error {median(errors):.1%}, largest {max(errors):.1%}, {images} photographs to a run"
    table = _table(("configuration", "predicted, s", "measured, s", "error"), rows)
    return _between(page, "errors", f"{summary}:\n\n{table}")


def main() -> int:
    """Render, or check, the pages; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say which pages are out of date")
    check = parser.parse_args().check
    stale = False
    for path, render in {SCALING: simulated_page, ERRORS: errors_page}.items():
        page = path.read_text(encoding="utf-8")
        content = render(page)
        if content == page:
            continue
        stale = True
        if not check:
            path.write_text(content, encoding="utf-8")
        print(f"{'out of date' if check else 'rendered'}: {path.relative_to(ROOT)}")
    return int(check and stale)


def _between(page: str, name: str, content: str) -> str:
    head, mark, rest = page.partition(begin(name))
    _, end, tail = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"The page lacks one of its marks: {begin(name).strip()} or {END.strip()}")
    return f"{head}{mark}\n{content}\n{end}{tail}"


def _answer(command: Sequence[str]) -> dict[str, Any]:
    output = io.StringIO()
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(output):
        code = aiopt([*command, "--json"])
    if code:
        raise RuntimeError(f"aiopt {shlex.join(command)} ended with {code}")
    found: dict[str, Any] = json.loads(output.getvalue())
    return found


def _durations(*estimates: dict[str, float]) -> str:
    return ", ".join(units.duration(item["mean"]) for item in estimates)


def _less(service: dict[str, Any]) -> str:
    if service["growing"] or service["p95_s"]["mean"] is None:
        return "cannot keep up"
    return f"p95 {units.duration(service['p95_s']['mean'])}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = [f"| {' | '.join(columns)} |", "|---|" + "---:|" * (len(columns) - 1)]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
