"""PyTorch's profiler on the calls of the model."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from airflow_provider_aiopt.exceptions import MissingExtraError, ProfilingError
from airflow_provider_aiopt.profiling.base import ProfileRequest, StageProfiler
from airflow_provider_aiopt.profiling.overhead import Alternation, Overhead
from airflow_provider_aiopt.profiling.watched_model import WatchedRuntime
from airflow_provider_aiopt.runtimes.base import ModelRuntime

if TYPE_CHECKING:
    import numpy as np

WAIT, WARM_UP, ACTIVE, REPEAT = 2, 1, 5, 2
"""Calls in each round that are left alone, that warm the profiler up, and that are recorded; and rounds."""

_ROWS = 30
_ROUND = WAIT + WARM_UP + ACTIVE


class TorchTracer(StageProfiler):
    """Records two rounds of five calls, and leaves the others alone.

    PyTorch profiles the thread that asked for it, so one lane's calls are made on a thread of the profiler's
    whenever that is free.  After the second round nothing is done any more.

    :param request: what was asked for
    """

    kind = "torch"
    inference_only = True

    def __init__(self, request: ProfileRequest) -> None:
        super().__init__(request)
        self._runtime: _TracedRuntime | None = None

    def start(self) -> None:
        """Import PyTorch.

        :raises MissingExtraError: if it is not installed
        """
        try:
            import torch.profiler  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("torch", "torch", "Profiling PyTorch") from error

    def runtime(self, runtime: ModelRuntime) -> ModelRuntime:
        """Return the model with its calls watched."""
        self._runtime = _TracedRuntime(runtime)
        return self._runtime

    def write(self, folder: Path) -> dict[str, JsonValue]:
        """Write a trace of each round for Perfetto or TensorBoard, and a table of its operators.

        :raises ProfilingError: if the model was not called often enough
        """
        calls = 0 if self._runtime is None else self._runtime.close()
        if self._runtime is not None and self._runtime.failure is not None:
            raise self._runtime.failure
        if self._runtime is None or not self._runtime.rounds:
            raise ProfilingError(
                f"The profiled thread called the model {calls} times; what is recorded begins with call "
                f"{WAIT + WARM_UP + 1}. Take more records or a smaller execution.batch_size"
            )
        for number, (trace, table) in enumerate(self._runtime.rounds, start=1):
            (folder / f"round-{number}.pt.trace.json.gz").write_bytes(trace)
            (folder / f"round-{number}.txt").write_text(table, encoding="utf-8")
        return {"rounds": len(self._runtime.rounds)}

    def overhead(self) -> Overhead | None:
        """Return what the recorded calls took longer; None where there were few."""
        return None if self._runtime is None else self._runtime.alternation.overhead("time of a call")

    def abandon(self) -> None:
        """End the thread."""
        if self._runtime is not None:
            self._runtime.close()


class _TracedRuntime(WatchedRuntime):
    """Makes the calls of one lane at a time on the profiler's thread."""

    def __init__(self, runtime: ModelRuntime) -> None:
        super().__init__(runtime)
        self.alternation = Alternation()
        self.rounds: list[tuple[bytes, str]] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aiopt-torch-profile")
        self._free = threading.Lock()
        self.failure: Exception | None = None
        self._profile: Any = None
        self._calls = 0
        self._closed = False

    def run(self, feeds: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """Run one batch, on the profiler's thread if that is free."""
        if not self._free.acquire(blocking=False):
            return self.watched.run(feeds)
        try:
            return self._thread.submit(self._traced, feeds).result()
        finally:
            self._free.release()

    def close(self) -> int:
        """End a round that is under way and return how many calls the thread made."""
        if not self._closed:
            self._closed = True
            try:
                self._thread.submit(self._guarded, self._stop).result()
            finally:
                self._thread.shutdown()
        return self._calls

    def _traced(self, feeds: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        if self._profile is None and not self._calls:
            self._guarded(self._begin)
        place = self._calls % _ROUND
        recorded = self._calls < REPEAT * _ROUND and place >= WAIT + WARM_UP
        began = time.perf_counter()
        answer = self.watched.run(feeds)
        if recorded or place < WAIT or self._calls >= REPEAT * _ROUND:  # warming up is neither
            seconds = time.perf_counter() - began
            self.alternation.add("x".join(map(str, _shape(feeds))), profiled=recorded, seconds=seconds)
        self._calls += 1
        if self._profile is not None:
            self._guarded(self._step)
        return answer

    def _guarded(self, action: Callable[[], None]) -> None:
        """Keep what the profiler raises away from the model's call."""
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever PyTorch raises, the answer is there
            self.failure, self._profile = self.failure or error, None

    def _begin(self) -> None:
        from torch.profiler import ProfilerActivity, profile, schedule

        cuda = [ProfilerActivity.CUDA] if self.on_device else []
        self._profile = profile(
            activities=[ProfilerActivity.CPU, *cuda],
            schedule=schedule(wait=WAIT, warmup=WARM_UP, active=ACTIVE, repeat=REPEAT),
            on_trace_ready=self._keep,
            acc_events=True,
        )
        self._profile.start()

    def _step(self) -> None:
        self._profile.step()
        if self._calls == REPEAT * _ROUND:
            self._stop()

    def _stop(self) -> None:
        if self._profile is not None:
            profile, self._profile = self._profile, None
            profile.stop()

    def _keep(self, profile: Any) -> None:
        with tempfile.TemporaryDirectory(prefix="aiopt-torch-") as name:
            path = Path(name) / "trace.json.gz"
            profile.export_chrome_trace(str(path))
            table = profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=_ROWS)
            self.rounds.append((path.read_bytes(), table))


def _shape(feeds: Mapping[str, np.ndarray[Any, Any]]) -> tuple[int, ...]:
    return next(iter(feeds.values())).shape if feeds else ()
