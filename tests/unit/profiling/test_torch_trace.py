from __future__ import annotations

import gzip
import json
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from components import requires

from airflow_provider_aiopt.data.shards import read_parquet
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.exceptions import MissingExtraError, ProfilingError
from airflow_provider_aiopt.profiling.base import ProfileRequest
from airflow_provider_aiopt.profiling.profiler import make_profiler
from airflow_provider_aiopt.profiling.torch_trace import ACTIVE, REPEAT, WAIT, WARM_UP, TorchTracer
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.results import results_folder
from airflow_provider_aiopt.runner.staged import run_pipeline
from airflow_provider_aiopt.runtimes.torch_runtime import TorchRuntime
from airflow_provider_aiopt.spec import load_spec

requires("torch", "uv pip install --group models")
import torch  # noqa: E402 - where it is installed

ROUND = WAIT + WARM_UP + ACTIVE


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TorchRuntime:
    layer = torch.nn.Linear(2, 2)
    path = tmp_path_factory.mktemp("model") / "model.pt"
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # torch says that TorchScript is old; exporting takes ten times as long
        torch.jit.script(layer).save(path)
    return TorchRuntime(path, device="cpu", threads=1)


@pytest.fixture
def tracer() -> Any:
    made = TorchTracer(ProfileRequest("torch"))
    made.start()
    yield made
    made.abandon()


def calls(runtime: Any, number: int) -> list[list[float]]:
    name = runtime.inputs[0].name
    answers = (runtime.run({name: np.full((1, 2), value, np.float32)}) for value in range(number))
    return [value.tolist() for answer in answers for value in answer.values()]


def test_two_rounds_are_recorded_and_answers_stay_the_same(
    model: TorchRuntime, tracer: TorchTracer, tmp_path: Path
) -> None:
    watched = tracer.runtime(model)
    assert calls(watched, 40) == calls(model, 40)
    assert tracer.write(tmp_path) == {"rounds": REPEAT}
    assert tracer.overhead() is not None
    for number in range(1, REPEAT + 1):
        trace = json.loads(gzip.decompress((tmp_path / f"round-{number}.pt.trace.json.gz").read_bytes()))
        names = [event.get("name") for event in trace["traceEvents"]]
        assert names.count("aten::linear") == ACTIVE
        assert "aten::linear" in (tmp_path / f"round-{number}.txt").read_text()


def test_a_round_that_the_end_cuts_short_is_kept(
    model: TorchRuntime, tracer: TorchTracer, tmp_path: Path
) -> None:
    calls(tracer.runtime(model), WAIT + WARM_UP + 2)
    assert tracer.write(tmp_path) == {"rounds": 1}


def test_too_few_calls_are_said(model: TorchRuntime, tracer: TorchTracer, tmp_path: Path) -> None:
    calls(tracer.runtime(model), WAIT)
    with pytest.raises(
        ProfilingError, match=f"called the model {WAIT} times; what is recorded begins with call"
    ):
        tracer.write(tmp_path)


def test_several_lanes_share_the_profilers_thread_when_it_is_free(
    model: TorchRuntime, tracer: TorchTracer, tmp_path: Path
) -> None:
    watched = tracer.runtime(model)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: calls(watched, 20), range(4))) == [calls(model, 20)] * 4
    assert tracer.write(tmp_path) == {"rounds": REPEAT}


@pytest.mark.parametrize("method", ["start", "step", "stop", "export_chrome_trace"])
def test_a_profiler_that_fails_leaves_the_answers_alone(
    model: TorchRuntime, tracer: TorchTracer, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no profile")

    original: Callable[..., Any] = getattr(torch.profiler.profile, method)
    monkeypatch.setattr(torch.profiler.profile, method, fail)
    watched = tracer.runtime(model)
    assert calls(watched, 2 * ROUND + 1) == calls(model, 2 * ROUND + 1)
    monkeypatch.setattr(torch.profiler.profile, method, original)
    with pytest.raises(RuntimeError, match="no profile"):
        tracer.write(tmp_path)


def test_a_pipeline_has_the_same_results_and_says_where_its_traces_are(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "model.pt")
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{number},1\n" for number in range(30)))
    spec = load_spec(
        {
            "source": {"uri": str(tmp_path / "rows.csv"), "format": "csv", "columns": ["a", "b"]},
            "preprocess": {"kind": "tabular"},
            "model": {"uri": str(tmp_path / "model.pt"), "runtime": "torch", "device": "cpu"},
            "postprocess": {"kind": "raw"},
            "execution": {"workers": 2, "batch_size": 1},
        }
    )
    results = {}
    for kind in (None, "torch"):
        workspace = Workspace.open(str(tmp_path / f"run-{kind}"))
        context = RunContext(spec=spec, workspace=workspace, profiler=make_profiler(kind))
        reports = run_pipeline(context)
        results[kind] = read_parquet(results_folder(context).read("00000.parquet")).to_pylist()
    assert results[None] == results["torch"]
    account: Any = reports[2].details["profile"]
    assert account["uri"] == f"{workspace.uri}/profiles/inference-00000"
    assert "round-1.pt.trace.json.gz" in account["files"]


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.profiler", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'airflow-provider-aiopt\[torch\]'"):
        TorchTracer(ProfileRequest("torch")).start()
