"""ONNX Runtime's own profile, summed up by the type of operator."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from airflow_provider_aiopt.exceptions import ModelRunError, ProfilingError
from airflow_provider_aiopt.profiling.base import ProfileRequest, StageProfiler
from airflow_provider_aiopt.profiling.overhead import Alternation, Overhead
from airflow_provider_aiopt.profiling.tables import text_table
from airflow_provider_aiopt.profiling.watched_model import WatchedRuntime
from airflow_provider_aiopt.runtimes.base import ModelRuntime
from airflow_provider_aiopt.runtimes.onnx_runtime import OnnxRuntime

if TYPE_CHECKING:
    import numpy as np

MOST_CALLS = 64
"""Calls that are profiled at most: a trace has some 300 bytes for each operator of each call."""

_KERNEL = "_kernel_time"


class OnnxRuntimeTracer(StageProfiler):
    """Runs one of two calls of the model in a second session, which ONNX Runtime profiles.

    :param request: what was asked for
    """

    kind = "onnxruntime"
    inference_only = True

    def __init__(self, request: ProfileRequest) -> None:
        super().__init__(request)
        self._folder = Path(tempfile.mkdtemp(prefix="aiopt-onnxruntime-"))
        self._runtime: _AlternatingRuntime | None = None
        self._load_s = 0.0

    def runtime(self, runtime: ModelRuntime) -> ModelRuntime:
        """Open the model a second time, with profiling on."""
        if not isinstance(runtime, OnnxRuntime):
            raise ProfilingError(f"{runtime.description} has no profile of ONNX Runtime's")
        began = time.perf_counter()
        traced = runtime.profiled(self._folder / "trace")
        self._load_s = time.perf_counter() - began
        self._runtime = _AlternatingRuntime(runtime, traced)
        return self._runtime

    def write(self, folder: Path) -> dict[str, JsonValue]:
        """Write ``trace.json``, and the operators as a table and as JSON.

        :raises ProfilingError: if the model was not called twice
        """
        if self._runtime is None or not self._runtime.traced_calls:
            raise ProfilingError(
                "The model was called less than twice, and one of two calls is profiled. Take more records "
                "or a smaller execution.batch_size"
            )
        trace = self._runtime.traced.end_profile()
        operators = by_operator(json.loads(trace.read_bytes()))
        trace.replace(folder / "trace.json")
        rows = [asdict(operator) for operator in operators]
        (folder / "operators.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
        (folder / "operators.txt").write_text(_table(operators), encoding="utf-8")
        return {"calls": self._runtime.traced_calls, "second_load_s": round(self._load_s, 4)}

    def overhead(self) -> Overhead | None:
        """Return what the profiled calls took longer; None where there were few."""
        return None if self._runtime is None else self._runtime.alternation.overhead("time of a call")

    def abandon(self) -> None:
        """Remove the temporary files."""
        shutil.rmtree(self._folder, ignore_errors=True)


class _AlternatingRuntime(WatchedRuntime):
    def __init__(self, plain: OnnxRuntime, traced: OnnxRuntime) -> None:
        super().__init__(plain)
        self.traced = traced
        self.alternation = Alternation()
        self.traced_calls = 0
        self._lock = threading.Lock()

    def run(self, feeds: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """Run one batch, with the profile if it is its turn."""
        name = "x".join(map(str, next(iter(feeds.values())).shape)) if feeds else ""
        profiled = self._turn(name)
        began = time.perf_counter()
        try:
            answer = (self.traced if profiled else self.watched).run(feeds)
        except ModelRunError:
            if not profiled:
                raise
            return self.watched.run(feeds)  # the room that the second session takes is the profile's fault
        self.alternation.add(name, profiled=profiled, seconds=time.perf_counter() - began)
        return answer

    def _turn(self, name: str) -> bool:
        with self._lock:
            if self.traced_calls >= MOST_CALLS or not self.alternation.turn(name):
                return False
            self.traced_calls += 1
            return True


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """What the operators of one type took.

    :param operator: the type, such as ``Conv``, with its execution provider
    :param count: how often they ran
    :param total_us: microseconds in all
    :param share: of the time of all operators, 0 to 1
    :param mean_us: microseconds each time
    """

    operator: str
    count: int
    total_us: int
    share: float
    mean_us: float


def by_operator(events: Iterable[Mapping[str, Any]]) -> list[OperatorTime]:
    """Sum up a trace of ONNX Runtime, the most expensive type first.

    :param events: its events, in Chrome's trace format
    """
    found: dict[str, list[int]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and str(event.get("name", "")).endswith(_KERNEL):
            arguments = event.get("args", {})
            provider = str(arguments.get("provider", "")).removesuffix("ExecutionProvider")
            operator = str(arguments.get("op_name", "?"))
            found[f"{operator} ({provider})" if provider else operator].append(int(event["dur"]))
    total = sum(sum(times) for times in found.values())
    rows = [
        OperatorTime(
            name, len(times), sum(times), sum(times) / total if total else 0.0, sum(times) / len(times)
        )
        for name, times in found.items()
    ]
    return sorted(rows, key=lambda row: (-row.total_us, row.operator))


def _table(operators: Iterable[OperatorTime]) -> str:
    return text_table(
        ("operator", "count", "total ms", "share %", "mean us"),
        [
            (
                row.operator,
                str(row.count),
                f"{row.total_us / 1000:.2f}",
                f"{row.share:.1%}"[:-1],
                f"{row.mean_us:.1f}",
            )
            for row in operators
        ],
    )
