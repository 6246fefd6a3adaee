"""Measure what loading the model costs each task that needs it.

Each measurement is a process forked from one that has Airflow's task SDK imported and nothing of the model
runtime: so Airflow starts a task.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time


class Parts:
    """CPU and wall time between one mark and the next."""

    def __init__(self) -> None:
        self.seconds: dict[str, tuple[float, float]] = {}
        self._since = self._now()

    def mark(self, part: str) -> None:
        """End the part *part*."""
        now = self._now()
        self.seconds[part] = (now[0] - self._since[0], now[1] - self._since[1])
        self._since = now

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.process_time(), time.perf_counter()


def measure(model: str) -> dict[str, tuple[float, float]]:
    """Load the model as a streaming task does, and return the seconds that each part took."""
    from airflow_provider_aiopt.runner import streaming  # noqa: F401 - as the task has by then

    parts = Parts()
    import onnxruntime  # noqa: F401

    parts.mark("import onnxruntime")
    from airflow_provider_aiopt.runtimes.loading import load_model
    from airflow_provider_aiopt.spec.model import ModelSpec

    load_model(ModelSpec(uri=model, device="cpu", threads=1))
    parts.mark("load the model")
    return parts.seconds


def in_a_fork(model: str) -> dict[str, tuple[float, float]]:
    """Return :func:`measure` of a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, json.dumps(measure(model)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        seconds: dict[str, tuple[float, float]] = json.load(stream)
    os.waitpid(child, 0)
    return seconds


def main() -> None:
    """Print the median of each part over several processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="builtin:efficientnet-lite0-int8", metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    import airflow.sdk  # noqa: F401 - what the process has that starts tasks

    rounds = [in_a_fork(arguments.model) for _ in range(arguments.rounds)]
    for part in rounds[0]:
        cpu, wall = ([seconds[part][kind] * 1000 for seconds in rounds] for kind in (0, 1))
        print(
            f"{part:22} CPU {statistics.median(cpu):5.0f} ms ({min(cpu):.0f} to {max(cpu):.0f}), "
            f"wall {statistics.median(wall):5.0f} ms ({min(wall):.0f} to {max(wall):.0f})"
        )


if __name__ == "__main__":
    main()
