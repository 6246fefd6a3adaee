"""Measure how soon the stage timings pages show their first chart, in a real browser on a real Airflow.

The Airflow is one of its own, with 10,000 runs in its database and one of them mapped over 500 shards; see
``scripts/page_load/rows.py``.  Each load is a fresh browser profile with nothing but the login's cookie, so
that every script comes over the wire.  The time runs from the beginning of the navigation to the frame after
the first chart's canvas has been put into the page: it has been painted by then.

On a machine that has other work these times tell little.  The CPU seconds do: those of the API server and of
the browser with its driver, all of a load's until its first chart, which an idle core could not do faster.

Usage: ``python scripts/measure_page_load.py [--loads 9] [--json FILE]``.  It needs Debian's ``chromium``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from local_airflow import LocalAirflow
from page_load import WIDE
from rich.console import Console
from rich.table import Table

from airflow_provider_aiopt.telemetry.hardware.processes import ProcessTree

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SCRIPTS = Path(__file__).resolve().parent
DAG = "measured"
SOURCE = f"""
from airflow.sdk import DAG, task

with DAG("{DAG}", schedule=None):

    @task.timed_stage(stage="ingest")
    def ingest():
        pass

    ingest()
"""
TARGET_S = 1.5
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
_ARGUMENTS += ["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]
_WATCH = """
window.firstChart = new Promise(resolve => new MutationObserver((_, observer) => {
  if (!document.querySelector("canvas")) return;
  observer.disconnect();
  requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() / 1000)));
}).observe(document, { childList: true, subtree: true }));
"""
_ROUTE = """route => {
  const entry = performance.getEntriesByType("resource").find(e => e.name.split("?")[0].endsWith(route));
  return { seconds: (entry.responseEnd - entry.requestStart) / 1000, size: entry.encodedBodySize };
}"""


class Loads(NamedTuple):
    """How one page loaded, several times.

    :param page: which one
    :param seconds: to its first chart
    :param server_s: of the route that it waits for, from request to the answer's end
    :param answer_kb: size of that answer, compressed, in 1,000 bytes
    :param cpu_s: CPU seconds of server and browser until the first chart
    """

    page: str
    seconds: list[float]
    server_s: list[float]
    answer_kb: float
    cpu_s: list[float]

    def row(self) -> tuple[float, float, float, float]:
        """Return median and 95th percentile of the loads, and the medians of route and CPU, in seconds."""
        cuts = statistics.quantiles(self.seconds, n=20, method="inclusive")
        median = statistics.median
        return median(self.seconds), cuts[-1], median(self.server_s), median(self.cpu_s)


class Cpu:
    """CPU time of an Airflow's API server and of the browser that this process drives.

    :param airflow: a started one
    """

    def __init__(self, airflow: LocalAirflow) -> None:
        self._trees = [ProcessTree(pid=pid) for pid in (airflow.pids()["api-server"], _driver())]

    def seconds(self) -> float:
        """Return what they have used so far."""
        return sum(tree.read().cpu_s or 0.0 for tree in self._trees)


def _driver() -> int:
    """Return the process id of Playwright's driver, whose children are the browser."""
    children = Path("/proc/self/task").glob("*/children")
    pids = [pid for path in children for pid in path.read_text().split()]
    return next(int(pid) for pid in pids if b"playwright" in Path(f"/proc/{pid}/cmdline").read_bytes())


def main() -> int:
    """Measure and print; returns 1 where a median is above the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--shards", type=int, default=500)
    parser.add_argument("--loads", type=int, default=9, help="loads of each page, at least 5")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aiopt-page-load-") as folder:
        dags = Path(folder) / "dags"
        dags.mkdir()
        (dags / f"{DAG}.py").write_text(SOURCE, encoding="utf-8")
        with LocalAirflow(
            Path(folder) / "home", dags, database=options.database, start_timeout=300
        ) as airflow:
            airflow.wait_for_dag(DAG)
            _fill(airflow, options.runs, options.shards)
            found = _measure(airflow, options.shards, options.loads)
    _show(found, options)
    if options.json:
        options.json.write_text(json.dumps(_figures(found, options), indent=2) + "\n", encoding="utf-8")
    return int(any(loads.row()[0] > TARGET_S for loads in found))


def _fill(airflow: LocalAirflow, runs: int, shards: int) -> None:
    command = [sys.executable, "-m", "page_load.rows", "--dag", DAG]
    command += ["--runs", str(runs), "--shards", str(shards)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment["AIRFLOW_HOME"] = str(airflow.home)
    subprocess.run(command, env=environment, cwd=SCRIPTS, check=True)


def _measure(airflow: LocalAirflow, shards: int, loads: int) -> list[Loads]:
    from playwright.sync_api import sync_playwright

    pages = {
        f"run, {shards} shards": (f"run.html?dag_id={DAG}&run_id={WIDE}", f"/runs/{WIDE}"),
        "run, 4 tasks": (f"run.html?dag_id={DAG}&run_id=run-000000", "/runs/run-000000"),
        "DAG, its last 50 runs": (f"dag.html?dag_id={DAG}", "/trend"),
        "all pipelines": ("overview.html", "/pipelines"),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_ARGUMENTS)
        cpu = Cpu(airflow)
        found = []
        for name, (page, route) in pages.items():
            url = f"{airflow.url}/aiopt/static/{page}"
            _load(browser, airflow, url, route, cpu)  # the first one warms the server up
            samples = [_load(browser, airflow, url, route, cpu) for _ in range(loads)]
            seconds, server_s, sizes, cpu_s = map(list, zip(*samples, strict=True))
            found.append(Loads(name, seconds, server_s, sizes[-1] / 1000, cpu_s))
        browser.close()
    return found


def _load(
    browser: Browser, airflow: LocalAirflow, url: str, route: str, cpu: Cpu
) -> tuple[float, float, float, float]:
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.add_cookies([{"name": "_token", "value": airflow.token(), "url": airflow.url}])
    page = context.new_page()
    page.add_init_script(_WATCH)
    before_s = cpu.seconds()
    page.goto(url)
    first: float = page.evaluate("window.firstChart")
    cpu_s = cpu.seconds() - before_s
    entry: dict[str, Any] = page.evaluate(_ROUTE, route)
    context.close()
    return first, entry["seconds"], entry["size"], cpu_s


def _show(found: list[Loads], options: argparse.Namespace) -> None:
    what = f"{options.runs:,} runs, {options.database}, {options.loads} loads each"
    table = Table(title=f"First chart, seconds: {what}")
    for heading in ("page", "median", "p95", "of it the route", "CPU", "answer, kB"):
        table.add_column(heading, justify="left" if heading == "page" else "right")
    for loads in found:
        table.add_row(loads.page, *(f"{value:.2f}" for value in loads.row()), f"{loads.answer_kb:.0f}")
    Console().print(table, f"Load at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")


def _figures(found: list[Loads], options: argparse.Namespace) -> dict[str, Any]:
    return {
        "runs": options.runs,
        "shards": options.shards,
        "database": options.database,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "pages": {loads.page: loads._asdict() for loads in found},
    }


if __name__ == "__main__":
    raise SystemExit(main())
