"""What the accounting costs: blocks of images in one process, with it and without it in turn (ABBA).

In one process, blocks differ by the accounting alone and not by where the loader put things or how the model
was loaded, which is more than what is looked for.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

from airflow_provider_aiopt.runner.streaming import run_streaming
from benchmarks.systems.package import run_package
from benchmarks.systems.unaccounted import UntimedRecorder
from benchmarks.systems.work import Work

RECORDER = "airflow_provider_aiopt.runner.streaming.run.StreamRecorder"
ORDER = (True, False, False, True)
"""A drift of the machine's speed costs both alike."""


def measure(work: Work, statsd: str, blocks: int) -> dict[str, Any]:
    """Run ``4 * blocks`` times over *work* and return what each pair of runs took.

    :param statsd: address of a server for metrics
    """
    pairs = []
    _run(work, statsd, accounted=True)
    for _ in range(blocks):
        outcomes = [(accounted, _run(work, statsd, accounted=accounted)) for accounted in ORDER]
        pairs += [
            {"accounted" if accounted else "unaccounted": taken for accounted, taken in half}
            for half in (outcomes[:2], outcomes[2:])
        ]
    return {"images": len(work.files()), "pairs": pairs}


def _run(work: Work, statsd: str, *, accounted: bool) -> dict[str, float]:
    options = {"statsd": statsd} if accounted else {}
    with nullcontext() if accounted else patch(RECORDER, UntimedRecorder):
        began, cpu = time.perf_counter(), time.process_time()
        outcome = run_package(Work(work.images, work.model, options), run_streaming)
        whole, cpu = time.perf_counter() - began, time.process_time() - cpu
    # The whole call, so that publishing the reports counts.
    return {"seconds": whole - outcome.details["model_load_s"], "cpu_s": cpu}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--statsd", required=True)
    parser.add_argument("--blocks", type=int, required=True)
    arguments = parser.parse_args()
    found = measure(Work(arguments.images, arguments.model), arguments.statsd, arguments.blocks)
    print(json.dumps(found), flush=True)
