"""Measure what a fresh task process pays before and while it classifies one photograph by streaming.

A worker of Airflow forks a process for each task.  This program does the same from a process that has what a
warm worker has, and lets each child note the seconds and the CPU seconds of every step.  It prints medians
over the rounds, and how many threads the parent has, since a fork keeps none but the one that calls it.

Usage: ``python scripts/measure_task_start.py [--preload numpy pyarrow ...]``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

PHOTOGRAPH = Path(__file__).resolve().parents[1] / "examples" / "photographs" / "flower.jpg"
LIBRARIES = ("numpy", "pyarrow", "pyarrow.parquet", "PIL.Image", "onnxruntime")
PACKAGE = "airflow_provider_aiopt.runner.streaming"
SPEC = {
    "name": "one",
    "source": {"uri": str(PHOTOGRAPH)},
    "model": {"uri": "builtin:efficientnet-lite0-int8", "device": "cpu"},
    "postprocess": {"kind": "classification"},
}

Step = tuple[str, float, float]
"""What was done, its seconds and its CPU seconds."""


class Steps:
    """The steps of one child, in order."""

    def __init__(self) -> None:
        self.done: list[Step] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Note what the block takes."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.done.append((name, time.perf_counter() - wall, time.process_time() - cpu))


def _work(folder: str, libraries: list[str]) -> list[Step]:
    steps = Steps()
    with steps.step("import the operator, as the DAG file does"):
        import_module("airflow_provider_aiopt.operators.pipeline")
    for name in libraries:
        with steps.step(f"import {name}"):
            import_module(name)
    with steps.step("import the rest of this package"):
        from airflow_provider_aiopt.data.workspace import Workspace
        from airflow_provider_aiopt.runner.context import RunContext
        from airflow_provider_aiopt.runner.streaming import run_streaming
        from airflow_provider_aiopt.spec import load_spec
    with steps.step("run"):
        reports = run_streaming(RunContext(spec=load_spec(SPEC), workspace=Workspace.open(folder)))
    name, wall, cpu = steps.done.pop()
    loading = sum(report.model_load_s for report in reports)
    steps.done.append(("make the session", loading, float("nan")))
    steps.done.append(("list, read, decode, infer, write, report", wall - loading, cpu))
    return steps.done


def _round(libraries: list[str]) -> list[Step]:
    reading, writing = os.pipe()
    began = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with tempfile.TemporaryDirectory() as folder:
                done = _work(folder, libraries)
            os.write(writing, json.dumps(done).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        found = stream.read()
    whole = time.perf_counter() - began
    if os.waitpid(pid, 0)[1]:
        raise SystemExit("The child failed; its message is above")
    steps: list[Step] = [tuple(step) for step in json.loads(found)]
    return [*steps, ("all, with the fork", whole, float("nan"))]


def _threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=7, help="children after one that is dropped (default: 7)"
    )
    parser.add_argument("--libraries", nargs="*", default=list(LIBRARIES), help="what to time the import of")
    parser.add_argument(
        "--preload", nargs="*", default=[], help="modules that the parent imports before it forks"
    )
    options = parser.parse_args()
    import_module("airflow.sdk.execution_time.task_runner")
    before = _threads()
    for name in options.preload:
        import_module(name)
    rounds = [_round(options.libraries) for _ in range(options.rounds + 1)][1:]
    table = Table(title="One photograph in a forked process, medians", title_justify="left")
    for column in ("step", "ms", "CPU ms"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for number, (name, *_) in enumerate(rounds[0]):
        wall = statistics.median(steps[number][1] for steps in rounds) * 1e3
        cpu = statistics.median(steps[number][2] for steps in rounds) * 1e3
        table.add_row(name, f"{wall:.0f}", "" if math.isnan(cpu) else f"{cpu:.0f}")
    Console(file=sys.stdout).print(table)
    print(f"Threads of the parent: {before} before preloading, {_threads()} after")


if __name__ == "__main__":
    main()
