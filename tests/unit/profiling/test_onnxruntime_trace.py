from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import linear_model

from airflow_provider_aiopt.exceptions import ModelRunError, ProfilingError
from airflow_provider_aiopt.profiling.base import ProfileRequest
from airflow_provider_aiopt.profiling.onnxruntime_trace import MOST_CALLS, OnnxRuntimeTracer, by_operator
from airflow_provider_aiopt.runtimes.onnx_runtime import OnnxRuntime

REQUEST = ProfileRequest("onnxruntime")


def node(operator: str, microseconds: int, name: str = "node_kernel_time", **more: Any) -> dict[str, Any]:
    arguments = {"op_name": operator, "provider": "CPUExecutionProvider"}
    return {"cat": "Node", "name": name, "dur": microseconds, "args": arguments, **more}


@pytest.fixture
def model(tmp_path: Path) -> OnnxRuntime:
    linear_model(tmp_path / "model.onnx", np.eye(2))
    return OnnxRuntime(tmp_path / "model.onnx", device="cpu", threads=1)


def feeds(model: OnnxRuntime, rows: int = 1) -> dict[str, Any]:
    return {model.inputs[0].name: np.ones((rows, 2), np.float32)}


def test_operators_are_summed_up_by_type() -> None:
    session = {"cat": "Session", "name": "model_run", "dur": 900, "args": {}}
    fence = node("Conv", 5, "node_fence_before")
    rows = by_operator([session, fence, node("Conv", 60), node("Relu", 10), node("Conv", 30)])
    assert [(row.operator, row.count, row.total_us, row.share, row.mean_us) for row in rows] == [
        ("Conv (CPU)", 2, 90, 0.9, 45.0),
        ("Relu (CPU)", 1, 10, 0.1, 10.0),
    ]


def test_an_operator_has_a_row_for_each_provider() -> None:
    on_gpu = {**node("Conv", 1), "args": {"op_name": "Conv", "provider": "CUDAExecutionProvider"}}
    assert [row.operator for row in by_operator([node("Conv", 2), on_gpu])] == ["Conv (CPU)", "Conv (CUDA)"]
    assert by_operator([]) == []


def test_every_other_call_is_profiled_and_answers_stay_the_same(model: OnnxRuntime, tmp_path: Path) -> None:
    tracer = OnnxRuntimeTracer(REQUEST)
    watched = tracer.runtime(model)
    assert (watched.inputs, watched.outputs, watched.description) == (
        model.inputs,
        model.outputs,
        model.description,
    )
    expected = model.run(feeds(model))
    for _ in range(40):
        answered = watched.run(feeds(model))
        assert {name: value.tolist() for name, value in answered.items()} == {
            name: value.tolist() for name, value in expected.items()
        }
    folder = tmp_path / "profile"
    folder.mkdir()
    facts = tracer.write(folder)
    tracer.abandon()
    assert facts["calls"] == 20
    assert float(str(facts["second_load_s"])) > 0
    assert tracer.overhead() is not None
    assert not list(tmp_path.glob("*trace*")), "the trace lies where it was moved to only"


def test_a_long_run_is_profiled_up_to_a_bound(model: OnnxRuntime, tmp_path: Path) -> None:
    tracer = OnnxRuntimeTracer(REQUEST)
    watched = tracer.runtime(model)
    threads = [
        threading.Thread(target=lambda: [watched.run(feeds(model)) for _ in range(100)]) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tracer.write(tmp_path)["calls"] == MOST_CALLS
    tracer.abandon()


def test_a_single_call_is_too_few(model: OnnxRuntime, tmp_path: Path) -> None:
    tracer = OnnxRuntimeTracer(REQUEST)
    tracer.runtime(model).run(feeds(model))
    with pytest.raises(ProfilingError, match="called less than twice"):
        tracer.write(tmp_path)
    tracer.abandon()


def test_where_the_profiled_session_fails_the_plain_one_answers(
    model: OnnxRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracer = OnnxRuntimeTracer(REQUEST)
    watched: Any = tracer.runtime(model)

    def fail(_: object) -> None:
        raise ModelRunError("no memory for two")

    monkeypatch.setattr(watched.traced, "run", fail)
    assert [watched.run(feeds(model))["y"].shape for _ in range(4)] == [(1, 2)] * 4
    tracer.abandon()


def test_the_models_own_errors_pass_through(model: OnnxRuntime) -> None:
    tracer = OnnxRuntimeTracer(REQUEST)
    watched = tracer.runtime(model)
    for _ in range(2):
        with pytest.raises(ModelRunError):
            watched.run({model.inputs[0].name: np.ones((1, 3), np.float32)})
    tracer.abandon()
