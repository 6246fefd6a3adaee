from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx_models import Node, image_model, linear_model, model_bytes

from airflow_provider_aiopt.exceptions import (
    DeviceOutOfMemoryError,
    DeviceUnavailableError,
    MissingExtraError,
    ModelLoadError,
    ModelRunError,
)
from airflow_provider_aiopt.runtimes import onnx_runtime
from airflow_provider_aiopt.runtimes.base import Normalisation
from airflow_provider_aiopt.runtimes.onnx_runtime import CPU, CUDA, TENSORRT, OnnxRuntime
from airflow_provider_aiopt.runtimes.tensorrt import EngineRequest

WEIGHTS = np.array([[1.0, 2.0], [3.0, 4.0]])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return linear_model(tmp_path / "model.onnx", WEIGHTS)


class FakeSession:
    """What a session of a build with CUDA is, on a machine that has or has not the hardware."""

    loads: list[str]
    asked: list[Any]

    def __init__(self, model: str | bytes, options: Any, providers: list[Any]) -> None:
        type(self).asked = providers
        self.model = model
        self.options = options

    def get_providers(self) -> list[str]:
        return self.loads

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="x", type="tensor(float)", shape=["batch", 2])]

    get_outputs = get_inputs

    def run(self, names: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        raise RuntimeError("CUDA failure 2: out of memory")


@pytest.fixture
def cuda_build(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make ONNX Runtime look like onnxruntime-gpu; returns what was called."""
    calls: list[str] = []
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: calls.append("preload_dlls"), raising=False)
    monkeypatch.setattr(onnxruntime, "InferenceSession", FakeSession)
    return calls


def test_onnx_runtime_reports_its_use_to_no_one(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(onnxruntime, "disable_telemetry_events", lambda: calls.append("disabled"))
    OnnxRuntime(model, device="cpu")
    assert calls == ["disabled"]


def test_a_batch_is_run_and_the_outputs_have_names(model: Path) -> None:
    runtime = OnnxRuntime(model, device="cpu")

    answer = runtime.run({"x": np.array([[1, 1], [0, 2]], np.float32), "unused": np.zeros(2)})

    assert list(answer) == ["y"]
    np.testing.assert_array_equal(answer["y"], [[4, 6], [6, 8]])
    assert [str(info) for info in runtime.inputs] == ["x float32 [?, 2]"]
    assert [str(info) for info in runtime.outputs] == ["y float32 [?, 2]"]


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_what_loaded_is_said(model: Path, device: str) -> None:
    runtime = OnnxRuntime(model, device=device)

    assert runtime.description == f"onnxruntime {onnxruntime.__version__} {CPU}"
    assert not runtime.on_device


def test_cuda_is_never_replaced_in_silence_by_a_build_without_it(model: Path) -> None:
    with pytest.raises(DeviceUnavailableError, match=r"'cuda'.* has only .*CPUExecutionProvider.*\[gpu\]"):
        OnnxRuntime(model, device="cuda")


def test_cuda_is_never_replaced_in_silence_where_it_does_not_load(
    cuda_build: list[str], monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    monkeypatch.setattr(FakeSession, "loads", [CPU], raising=False)
    with pytest.raises(DeviceUnavailableError, match=f"loaded {CPU}.*nvidia-smi.*'auto' or 'cpu'"):
        OnnxRuntime(model, device="cuda")


@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_cuda_is_taken_first_where_it_loads(
    cuda_build: list[str], monkeypatch: pytest.MonkeyPatch, model: Path, device: str
) -> None:
    monkeypatch.setattr(FakeSession, "loads", [CUDA, CPU], raising=False)

    runtime = OnnxRuntime(model, device=device, threads=3)

    assert FakeSession.asked == [CUDA, CPU]
    assert runtime.description.endswith(CUDA)
    assert runtime._session.options.intra_op_num_threads == 3
    assert cuda_build == ["preload_dlls"]


def test_cpu_asks_for_nothing_else(
    cuda_build: list[str], monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    monkeypatch.setattr(FakeSession, "loads", [CPU], raising=False)
    OnnxRuntime(model, device="cpu")
    assert FakeSession.asked == [CPU]
    assert cuda_build == []


def test_auto_says_so_where_cuda_does_not_load(
    cuda_build: list[str], monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    monkeypatch.setattr(FakeSession, "loads", [CPU], raising=False)
    runtime = OnnxRuntime(model, device="auto")
    assert runtime.description.endswith(CPU)
    assert (
        runtime.fallback == f"ONNX Runtime {onnxruntime.__version__} is built for CUDA but could not load it"
    )


@pytest.mark.parametrize(("device", "reason"), [("auto", "is built without CUDA"), ("cpu", None)])
def test_only_auto_can_have_fallen_back(model: Path, device: str, reason: str | None) -> None:
    fallback = OnnxRuntime(model, device=device).fallback
    assert fallback == (reason and f"ONNX Runtime {onnxruntime.__version__} {reason}")


class TestNormalisation:
    WANTED = Normalisation((127.0, 127.0, 127.0), (128.0, 128.0, 128.0), "nchw")

    @pytest.fixture
    def images(self, tmp_path: Path) -> Path:
        return image_model(tmp_path / "images.onnx", size=8)

    @pytest.fixture
    def fused(self, monkeypatch: pytest.MonkeyPatch) -> bytes:
        monkeypatch.setattr(onnx_runtime, "fuse_normalisation", lambda *_: b"fused")
        return b"fused"

    @pytest.mark.parametrize("device", ["cuda", "auto"])
    def test_a_device_normalises_in_its_graph(
        self, cuda_build: list[str], monkeypatch: pytest.MonkeyPatch, images: Path, fused: bytes, device: str
    ) -> None:
        monkeypatch.setattr(FakeSession, "loads", [CUDA, CPU], raising=False)
        runtime = OnnxRuntime(images, device=device, normalisation=self.WANTED)
        assert runtime.normalisation == "device"
        assert runtime._session.model == fused
        assert all(info.pixels for info in runtime.inputs)

    def test_a_device_that_does_not_load_leaves_it_to_the_host(
        self, cuda_build: list[str], monkeypatch: pytest.MonkeyPatch, images: Path, fused: bytes
    ) -> None:
        monkeypatch.setattr(FakeSession, "loads", [CPU], raising=False)
        runtime = OnnxRuntime(images, normalisation=self.WANTED)
        assert runtime.normalisation == "host"
        assert runtime._session.model == str(images)
        assert runtime.fallback is not None
        assert not any(info.pixels for info in runtime.inputs)

    def test_what_the_graph_does_not_allow_is_said(
        self, cuda_build: list[str], monkeypatch: pytest.MonkeyPatch, images: Path
    ) -> None:
        def refuse(*_: object) -> bytes:
            raise ValueError("the model has 2 inputs")

        monkeypatch.setattr(onnx_runtime, "fuse_normalisation", refuse)
        monkeypatch.setattr(FakeSession, "loads", [CUDA, CPU], raising=False)
        runtime = OnnxRuntime(images, device="cuda", normalisation=self.WANTED)
        assert runtime.normalisation == "host: the model has 2 inputs"
        assert runtime._session.model == str(images)
        assert not any(info.pixels for info in runtime.inputs)

    @pytest.mark.parametrize("device", ["cpu", "auto"])
    def test_on_the_cpu_the_host_does_it(self, images: Path, fused: bytes, device: str) -> None:
        runtime = OnnxRuntime(images, device=device, normalisation=self.WANTED)
        assert runtime.normalisation == "host"
        assert [str(info) for info in runtime.inputs] == ["image float32 [?, 3, 8, 8]"]
        assert OnnxRuntime(images, device=device).normalisation is None

    def test_another_graph_has_other_engines(
        self, tensorrt_build: Path, monkeypatch: pytest.MonkeyPatch, images: Path, fused: bytes
    ) -> None:
        monkeypatch.setattr(FakeSession, "loads", [TENSORRT, CUDA, CPU], raising=False)
        engines = EngineRequest("ab" * 32, (8,))
        for normalisation in (None, self.WANTED):
            OnnxRuntime(images, device="tensorrt", engines=engines, normalisation=normalisation)
        assert len(list(tensorrt_build.iterdir())) == 2


@pytest.fixture
def tensorrt_build(cuda_build: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Make ONNX Runtime look like a build with TensorRT; returns the folder of its caches."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    monkeypatch.setattr(onnx_runtime, "compute_capability", lambda: "9.0")
    monkeypatch.setenv("AIOPT_CACHE_DIR", str(tmp_path))
    return tmp_path / "aiopt" / "tensorrt"


def test_tensorrt_comes_before_cuda_with_engines_that_are_kept(
    tensorrt_build: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    monkeypatch.setattr(FakeSession, "loads", [TENSORRT, CUDA, CPU], raising=False)

    runtime = OnnxRuntime(model, device="tensorrt", engines=EngineRequest("ab" * 32, (8, 32)))

    (first, options), *others = FakeSession.asked
    assert (first, others) == (TENSORRT, [CUDA, CPU])
    assert options["trt_profile_max_shapes"] == "x:32x2"
    (folder,) = tensorrt_build.iterdir()
    assert options["trt_engine_cache_path"] == str(folder)
    assert runtime.description.endswith(TENSORRT)
    assert runtime.on_device


@pytest.mark.parametrize("loads", [CUDA, CPU])
def test_tensorrt_is_never_replaced_in_silence(
    tensorrt_build: Path, monkeypatch: pytest.MonkeyPatch, model: Path, loads: str
) -> None:
    monkeypatch.setattr(FakeSession, "loads", [loads], raising=False)
    with pytest.raises(DeviceUnavailableError, match=f"'tensorrt'.* loaded {loads}. Install TensorRT's"):
        OnnxRuntime(model, device="tensorrt")


def test_tensorrt_needs_a_build_that_has_it(cuda_build: list[str], model: Path) -> None:
    with pytest.raises(DeviceUnavailableError, match=f"'tensorrt', but this build .* only {CUDA}, {CPU}"):
        OnnxRuntime(model, device="tensorrt")


def test_memory_that_ran_out_has_an_error_of_its_own(
    cuda_build: list[str], monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    monkeypatch.setattr(FakeSession, "loads", [CPU], raising=False)
    with pytest.raises(DeviceOutOfMemoryError, match=r"a batch of x \[2, 2\]: memory ran out"):
        OnnxRuntime(model, device="cpu").run({"x": np.zeros((2, 2), np.float32)})


@pytest.mark.parametrize("content", [b"", b"no model", b"\x00" * 100], ids=["empty", "text", "zeros"])
def test_a_file_that_is_no_model_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelLoadError, match=r"cannot load .*broken\.onnx") as caught:
        OnnxRuntime(path, device="cpu")
    assert "\n" not in str(caught.value)


def test_a_model_that_fails_on_a_batch_says_on_which(tmp_path: Path) -> None:
    path = tmp_path / "fixed.onnx"
    path.write_bytes(  # a graph that folds three rows into the width, as exporters without a batch axis do
        model_bytes(
            [Node("Reshape", ["x", "shape"], ["y"])],
            {"x": ("float32", ["batch", 2])},
            {"y": ("float32", [3, 2])},
            {"shape": np.array([3, 2], np.int64)},
        )
    )
    runtime = OnnxRuntime(path, device="cpu")
    with pytest.raises(ModelRunError, match=r"failed on a batch of x \[2, 2\]: .*dynamic batch axis"):
        runtime.run({"x": np.zeros((2, 2), np.float32)})


def test_without_onnx_runtime_the_pip_command_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'airflow-provider-aiopt\[cpu\]'"):
        OnnxRuntime(model)
