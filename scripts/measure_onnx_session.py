"""Measure settings of an ONNX Runtime session on the CPU; prints the table of docs/performance.md.

    python scripts/measure_onnx_session.py MODEL.onnx [--batch-size 32] [--rounds 5]

Each round measures every setting once, in the opposite order of the round before, so that what else the
machine does meanwhile meets all alike.  CPU time is what counts where decoding needs the same cores.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

Change = Callable[[Any], None]
_CALLS = 6


def _level(name: str) -> Change:
    def change(options: Any) -> None:
        import onnxruntime

        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, name)

    return change


def _entry(key: str, value: str) -> Change:
    return lambda options: options.add_session_config_entry(key, value)


def _attribute(name: str, value: Any) -> Change:
    return lambda options: setattr(options, name, value)


_SPIN = "session.intra_op.allow_spinning"
SETTINGS: Mapping[str, Change] = {
    "ONNX Runtime's own": lambda _: None,
    "no spinning": _entry(_SPIN, "0"),
    "no arena": _attribute("enable_cpu_mem_arena", value=False),
    "no memory pattern": _attribute("enable_mem_pattern", value=False),
    "extended optimisation": _level("ORT_ENABLE_EXTENDED"),
    "basic optimisation": _level("ORT_ENABLE_BASIC"),
}


def _session(model: Path, threads: int, change: Change) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    change(options)
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _feeds(session: Any, rows: int) -> dict[str, Any]:
    import numpy as np

    info = session.get_inputs()[0]
    shape = [rows, *info.shape[1:]]
    return {info.name: np.random.default_rng(0).standard_normal(shape, np.float32)}


def _measure(session: Any, feeds: dict[str, Any], callers: int, rows: int) -> tuple[float, float]:
    """Return CPU and wall milliseconds per record, the calls 20 ms apart as they are between other work."""

    def call(_: int) -> None:
        session.run(None, feeds)
        time.sleep(0.02)

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(call, range(callers)))
        cpu, wall = time.process_time(), time.perf_counter()
        list(pool.map(call, range(_CALLS)))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return 1000 * cpu / (_CALLS * rows), 1000 * wall / (_CALLS * rows)


def _table(model: Path, rows: int, rounds: int, callers: int, threads: int) -> None:
    sessions = {name: _session(model, threads, change) for name, change in SETTINGS.items()}
    feeds = _feeds(next(iter(sessions.values())), rows)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in SETTINGS}
    for number in range(rounds):
        for name in list(SETTINGS)[:: 1 if number % 2 else -1]:
            found[name].append(_measure(sessions[name], feeds, callers, rows))
    print(f"\n{callers} calls at once, {threads} thread(s) each, batches of {rows}\n")
    print("| setting | CPU ms/record | wall ms/record |\n|---|---|---|")
    for name, values in found.items():
        cpu, wall = (statistics.median(column) for column in zip(*values, strict=True))
        print(f"| {name} | {cpu:.2f} | {wall:.2f} |")


def main() -> None:
    """Measure both ways in which the runner calls a model."""
    parser = argparse.ArgumentParser(description="Measure settings of an ONNX Runtime session on the CPU")
    parser.add_argument("model", type=Path)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    _table(given.model, given.batch_size, given.rounds, callers=2, threads=1)  # streaming
    _table(given.model, given.batch_size, given.rounds, callers=1, threads=2)  # staged


if __name__ == "__main__":
    main()
