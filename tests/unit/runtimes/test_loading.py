from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import linear_model

from airflow_provider_aiopt.runtimes import loading
from airflow_provider_aiopt.runtimes.base import Normalisation
from airflow_provider_aiopt.runtimes.loading import load_model
from airflow_provider_aiopt.spec import ModelSpec


@pytest.fixture(autouse=True)
def _no_models_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_loaded", {})


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    files: list[Path] = []

    class Counted(loading.OnnxRuntime):
        def __init__(self, file: Path, **options: Any) -> None:
            files.append(file)
            super().__init__(file, **options)

    monkeypatch.setattr(loading, "OnnxRuntime", Counted)
    return files


def model(path: Path, value: float = 1.0) -> ModelSpec:
    return ModelSpec(uri=str(linear_model(path, np.full((2, 2), value))), device="cpu")


def test_a_process_loads_a_model_once(tmp_path: Path, opened: list[Path]) -> None:
    spec = model(tmp_path / "a.onnx")
    assert load_model(spec).runtime is load_model(spec).runtime
    assert len(opened) == 1


def test_the_same_bytes_elsewhere_are_the_same_model(tmp_path: Path, opened: list[Path]) -> None:
    first, second = model(tmp_path / "a.onnx"), model(tmp_path / "b.onnx")
    assert load_model(first).runtime is load_model(second).runtime


def test_a_file_that_was_replaced_is_loaded_anew(tmp_path: Path, opened: list[Path]) -> None:
    before = load_model(model(tmp_path / "a.onnx", 1.0)).runtime
    after = load_model(model(tmp_path / "a.onnx", 2.0)).runtime
    assert after is not before


def test_other_settings_are_another_session(tmp_path: Path, opened: list[Path]) -> None:
    spec = model(tmp_path / "a.onnx")
    first, second = load_model(spec), load_model(spec.model_copy(update={"threads": 1}))
    assert first.runtime is not second.runtime


def test_threads_that_ask_at_once_share_one(tmp_path: Path, opened: list[Path]) -> None:
    spec = model(tmp_path / "a.onnx")
    together = threading.Barrier(4)

    def load(_: int) -> object:
        together.wait(10)
        return load_model(spec).runtime

    with ThreadPoolExecutor(4) as executor:
        assert len(set(map(id, executor.map(load, range(4))))) == 1
    assert len(opened) == 1


def test_the_spec_chooses_the_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(loading, "TorchRuntime", lambda file, **options: asked.append((file, options)))
    (tmp_path / "m.pt2").write_bytes(b"any")
    spec = ModelSpec(
        uri=str(tmp_path / "m.pt2"), runtime="torch", device="cpu", torch={"channels_last": True}
    )
    load_model(spec)
    options = {"device": "cpu", "threads": None, "options": spec.torch, "normalisation": None}
    assert asked == [(tmp_path / "m.pt2", options)]


def test_a_session_that_normalises_is_another(tmp_path: Path, opened: list[Path]) -> None:
    spec = model(tmp_path / "a.onnx")
    wanted = Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "nchw")
    assert load_model(spec, normalisation=wanted).runtime is load_model(spec, normalisation=wanted).runtime
    assert load_model(spec).runtime is not load_model(spec, normalisation=wanted).runtime


def test_sizes_of_calls_matter_to_engines_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class Asked(loading.OnnxRuntime):
        def __init__(self, file: Path, *, engines: Any, **_: Any) -> None:
            asked.append(engines)

    monkeypatch.setattr(loading, "OnnxRuntime", Asked)
    spec = model(tmp_path / "a.onnx")
    assert load_model(spec, batch_sizes=(8,)).runtime is load_model(spec, batch_sizes=(4,)).runtime
    engines = spec.model_copy(update={"device": "tensorrt"})
    assert load_model(engines, batch_sizes=(8,)).runtime is not load_model(engines, batch_sizes=(4,)).runtime
    assert [request.batch_sizes for request in asked] == [(), (8,), (4,)]


def test_a_model_that_has_moved_is_opened_again_where_it_lies_now(tmp_path: Path) -> None:
    first, second = model(tmp_path / "a.onnx"), model(tmp_path / "b.onnx")
    assert load_model(first).runtime is load_model(second).runtime
    (tmp_path / "a.onnx").unlink()
    runtime = load_model(second).runtime
    assert isinstance(runtime, loading.OnnxRuntime)
    assert runtime.profiled(tmp_path / "trace").end_profile().exists()
