"""Running ONNX models over sample data, and timing them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.data.parallel import usable_cores
from airflow_provider_aiopt.exceptions import ModelInputError, ModelLoadError
from airflow_provider_aiopt.optimize.imports import require

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Feeds = Mapping[str, Array]

BATCH_SIZE = 16
"""Records per call when a model runs over sample data."""

_WARM_UP = 2
_MIN_REPEATS = 5
_MAX_REPEATS = 50
_BUDGET_S = 4.0


def batches(feeds: Feeds, size: int = BATCH_SIZE) -> Iterator[dict[str, Array]]:
    """Cut tensors with *n* records on their first axis into batches.

    :param feeds: tensors by name
    :param size: records per batch; the last may have fewer
    """
    count = len(next(iter(feeds.values())))
    for start in range(0, count, size):
        yield {name: value[start : start + size] for name, value in feeds.items()}


def run_model(model: Path | bytes, feeds: Feeds) -> list[Array]:
    """Return a model's outputs for all records, in the graph's order.

    :param model: an ONNX file or its content
    :param feeds: a tensor for each input, the first axis being the records
    :raises ModelLoadError: if ONNX Runtime cannot load the model
    :raises ModelInputError: if the tensors do not fit its inputs
    """
    import numpy as np

    session = open_session(model)
    results = [session.run(None, batch) for batch in batches(_fitting(session, feeds))]
    return [np.concatenate(parts) for parts in zip(*results, strict=True)]


def latencies(models: Sequence[Path], feeds: Feeds, *, batch_size: int) -> list[float]:
    """Return each model's median time of one call, in seconds, on every core that the process may use.

    The models take turns, so that whatever else the machine does meets all of them alike.

    :param models: ONNX files that take the same inputs
    :param feeds: a tensor for each input, with at least *batch_size* records
    :param batch_size: records per call
    """
    sessions = [open_session(model) for model in models]
    batch = next(batches(_fitting(sessions[0], feeds), batch_size))
    for session in sessions * _WARM_UP:
        session.run(None, batch)
    times: list[list[float]] = [[] for _ in sessions]
    begun = time.perf_counter()
    while len(times[0]) < _MIN_REPEATS or (
        len(times[0]) < _MAX_REPEATS and time.perf_counter() - begun < _BUDGET_S
    ):
        for session, own in zip(sessions, times, strict=True):
            started = time.perf_counter()
            session.run(None, batch)
            own.append(time.perf_counter() - started)
    return [statistics.median(own) for own in times]


def open_session(model: Path | bytes) -> Any:
    """Open an ONNX Runtime session on the CPU.

    :param model: an ONNX file or its content
    :raises MissingExtraError: if ONNX Runtime is not installed
    :raises ModelLoadError: if ONNX Runtime cannot load the model
    """
    onnxruntime = require("onnxruntime", "Running a model")
    onnxruntime.disable_telemetry_events()  # some builds report their use to their makers
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises a class of its own for each fault
        where = "the model" if isinstance(model, bytes) else str(model)
        raise ModelLoadError(f"ONNX Runtime cannot load {where}: {' '.join(str(error).split())}") from error


def _fitting(session: Any, feeds: Feeds) -> dict[str, Array]:
    """Return the tensors that the session takes, or say what does not fit."""
    chosen = {}
    for info in session.get_inputs():
        axes = [axis if isinstance(axis, int) else None for axis in info.shape]
        value = feeds.get(info.name)
        fits = value is not None and len(axes) == value.ndim
        if (
            value is None
            or not fits
            or any(a not in {None, b} for a, b in zip(axes, value.shape, strict=True))
        ):
            given = ", ".join(f"{name} {list(item.shape)}" for name, item in feeds.items())
            raise ModelInputError(
                f"The model takes {info.name} {info.type} {info.shape}, but the data have {given}. "
                "Give data that were prepared for this model"
            )
        chosen[info.name] = value
    return chosen
