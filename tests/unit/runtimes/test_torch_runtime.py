from __future__ import annotations

import inspect
import io
import sys
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from components import requires

from airflow_provider_aiopt.exceptions import (
    DeviceOutOfMemoryError,
    DeviceUnavailableError,
    MissingExtraError,
    ModelLoadError,
    ModelRunError,
)
from airflow_provider_aiopt.runtimes.base import Normalisation, TensorInfo
from airflow_provider_aiopt.runtimes.torch_files import name_outputs
from airflow_provider_aiopt.runtimes.torch_pixels import TorchPixels
from airflow_provider_aiopt.runtimes.torch_runtime import TorchRuntime, choose_device
from airflow_provider_aiopt.spec.model import TorchSpec

requires("torch", "uv pip install --group models")
import torch  # noqa: E402 - where it is installed

BATCH = torch.export.Dim("batch", min=1)


class Linear(torch.nn.Module):
    """y = x @ [[1, 2], [3, 4]]"""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor([[1.0, 2.0], [3.0, 4.0]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weights


class Two(torch.nn.Module):
    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"masked": x * mask[:, None], "sums": x.sum(1)}


class Pixels(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Conv2d(3, 4, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layer(image).mean(dim=(2, 3))


def export(path: Path, module: torch.nn.Module, *args: torch.Tensor, **kwargs: torch.Tensor) -> Path:
    names = [*inspect.signature(module.forward).parameters]
    program = torch.export.export(
        module.eval(), args, kwargs, dynamic_shapes={name: {0: BATCH} for name in names}
    )
    torch.export.save(program, path)
    return path


def script(path: Path, module: torch.nn.Module) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module.eval()).save(str(path))
    return path


@pytest.fixture(params=["model.pt2", "model.pt", "model.ts"])
def linear(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    return export(path, Linear(), torch.ones(2, 2)) if path.suffix == ".pt2" else script(path, Linear())


def rows(count: int) -> np.ndarray:
    return np.arange(2 * count, dtype=np.float32).reshape(count, 2)


@pytest.mark.parametrize("count", [1, 3, 8])
def test_a_batch_of_any_size_is_run(linear: Path, count: int) -> None:
    answer = TorchRuntime(linear, device="cpu").run({"x": rows(count), "unused": rows(1)})
    (value,) = answer.values()
    np.testing.assert_array_equal(value, rows(count) @ [[1, 2], [3, 4]])


def test_an_exported_program_says_what_it_takes_and_gives(tmp_path: Path) -> None:
    runtime = TorchRuntime(export(tmp_path / "m.pt2", Linear(), torch.ones(2, 2)), device="cpu")
    assert [str(info) for info in runtime.inputs] == ["x float32 [?, 2]"]
    assert [info.shape for info in runtime.outputs] == [(None, 2)]


def test_torchscript_knows_names_and_the_spec_types(tmp_path: Path) -> None:
    runtime = TorchRuntime(
        script(tmp_path / "m.pt", Linear()), device="cpu", options=TorchSpec(input_dtype="int64")
    )
    assert [str(info) for info in runtime.inputs] == ["x int64 [...]"]
    assert runtime.outputs == ()


@pytest.mark.parametrize("by_name", [False, True])
def test_several_inputs_and_named_outputs(tmp_path: Path, by_name: bool) -> None:
    tensors = {"x": torch.ones(2, 3), "mask": torch.ones(2)}
    path = tmp_path / "two.pt2"
    file = export(path, Two(), **tensors) if by_name else export(path, Two(), *tensors.values())
    runtime = TorchRuntime(file, device="cpu")
    answer = runtime.run({"mask": np.array([0, 2], np.float32), "x": np.ones((2, 3), np.float32)})
    np.testing.assert_array_equal(answer["masked"], [[0, 0, 0], [2, 2, 2]])
    np.testing.assert_array_equal(answer["sums"], [3, 3])


@pytest.mark.parametrize(
    ("names", "answer", "named"),
    [
        (["y"], 1, {"y": 1}),
        ([], 1, {"output": 1}),
        ([], (1, 2), {"output_0": 1, "output_1": 2}),
        (["a", "b"], [1, 2], {"a": 1, "b": 2}),
        (["a"], {"mine": 1}, {"mine": 1}),
    ],
)
def test_outputs_have_the_best_names_there_are(names: list[str], answer: Any, named: dict[str, int]) -> None:
    assert name_outputs(names, answer) == named


def test_what_runs_is_said(linear: Path) -> None:
    options = TorchSpec(autocast="bfloat16", channels_last=True)
    runtime = TorchRuntime(linear, device="cpu", options=options)
    assert runtime.description == f"torch {torch.__version__} cpu, autocast bfloat16, channels last"
    assert not runtime.on_device
    assert runtime.fallback is None


def test_autocast_computes_in_less_and_answers_float32(linear: Path) -> None:
    runtime = TorchRuntime(linear, device="cpu", options=TorchSpec(autocast="bfloat16"))
    (value,) = runtime.run({"x": np.full((1, 2), 1.001, np.float32)}).values()
    assert value.dtype == np.float32
    np.testing.assert_array_equal(value, [[4, 6]])  # 1.001 is 1 in bfloat16


@pytest.mark.parametrize("name", ["m.pt2", "m.pt"])
def test_channels_last_changes_no_answer(tmp_path: Path, name: str) -> None:
    image = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    path = tmp_path / name
    file = export(path, Pixels(), torch.ones(2, 3, 8, 8)) if name == "m.pt2" else script(path, Pixels())
    plain, last = (
        next(iter(TorchRuntime(file, device="cpu", options=options).run({"image": image}).values()))
        for options in (TorchSpec(), TorchSpec(channels_last=True))
    )
    np.testing.assert_allclose(last, plain, atol=1e-6)


class TestPixels:
    WANTED = Normalisation((122.77, 116.75, 104.09), (68.5, 66.63, 70.32), "nchw")

    @pytest.fixture
    def device(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make the CPU pass for a device."""
        monkeypatch.setattr(TorchRuntime, "on_device", True)
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)

    @pytest.mark.parametrize("options", [TorchSpec(), TorchSpec(channels_last=True)], ids=["plain", "last"])
    @pytest.mark.parametrize("name", ["m.pt2", "m.pt"])
    def test_a_device_does_what_the_host_would(
        self, tmp_path: Path, device: None, name: str, options: TorchSpec
    ) -> None:
        path = tmp_path / name
        file = export(path, Pixels(), torch.ones(2, 3, 8, 8)) if name == "m.pt2" else script(path, Pixels())
        pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
        values = (pixels.astype(np.float32) - np.float32(self.WANTED.mean)) / np.float32(self.WANTED.std)

        host = TorchRuntime(file, device="cpu", options=options)
        runtime = TorchRuntime(file, device="cpu", options=options, normalisation=self.WANTED)

        assert (host.normalisation, runtime.normalisation) == (None, "device")
        (info,) = runtime.inputs
        assert info.pixels
        assert str(info) == ("image uint8 [?, 8, 8, 3]" if name == "m.pt2" else "image uint8 [...]")
        (made,) = runtime.run({"image": pixels}).values()
        (expected,) = host.run({"image": values.transpose(0, 3, 1, 2)}).values()
        np.testing.assert_allclose(made, expected, atol=1e-5)

    @pytest.mark.parametrize(
        ("info", "layout", "shape", "dtype"),
        [
            (TensorInfo("x", "float16", (None, 3, 4, 5)), "nchw", (None, 4, 5, 3), torch.float16),
            (TensorInfo("x", "float32", (2, 4, 5, 3)), "nhwc", (2, 4, 5, 3), torch.float32),
        ],
    )
    def test_layouts_and_types(self, info: TensorInfo, layout: Any, shape: Any, dtype: Any) -> None:
        taken = TorchPixels(torch, Normalisation((0, 0, 0), (2, 2, 2), layout), [info], "cpu")
        assert taken.input == TensorInfo("x", "uint8", shape, pixels=True)
        made = taken.normalise(torch.full((2, 4, 5, 3), 6, dtype=torch.uint8))
        assert (made.dtype, made[0, 0, 0, 0].item()) == (dtype, 3)
        assert made.shape[1:] == info.shape[1:] if info.shape else False

    def test_on_the_cpu_the_host_does_it(self, linear: Path) -> None:
        assert TorchRuntime(linear, device="cpu", normalisation=self.WANTED).normalisation == "host"

    def test_other_models_are_normalised_by_the_host(self, tmp_path: Path, device: None) -> None:
        file = export(tmp_path / "m.pt2", Linear(), torch.ones(2, 2))
        runtime = TorchRuntime(file, device="cpu", normalisation=self.WANTED)
        assert runtime.normalisation == "host: its input x is not made of float32 or float16 images"
        with pytest.raises(ValueError, match="has 2 inputs"):
            TorchPixels(torch, self.WANTED, [TensorInfo("x", "float32", None)] * 2, "cpu")


def test_compiling_is_asked_of_pytorch(linear: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []
    monkeypatch.setattr(torch, "compile", lambda module: compiled.append(module) or module)
    assert TorchRuntime(linear, device="cpu", options=TorchSpec(compile=True)).description.endswith(
        "compiled"
    )
    assert len(compiled) == 1


def test_tensors_that_may_not_be_written_are_taken_without_a_warning(linear: Path) -> None:
    value = rows(2)
    value.flags.writeable = False
    assert TorchRuntime(linear, device="cpu").run({"x": value})


def test_each_thread_computes_with_the_threads_asked_for(linear: Path) -> None:
    before = torch.get_num_threads()
    runtime = TorchRuntime(linear, device="cpu", threads=1)

    def threads(_: int) -> int:
        runtime.run({"x": rows(2)})
        return torch.get_num_threads()

    with ThreadPoolExecutor(2) as executor:
        assert set(executor.map(threads, range(4))) == {1}
    torch.set_num_threads(before)


def test_a_batch_that_does_not_fit_is_named(linear: Path) -> None:
    with pytest.raises(ModelRunError, match=r"PyTorch failed on a batch of x \[1, 3\]: "):
        TorchRuntime(linear, device="cpu").run({"x": np.ones((1, 3), np.float32)})


def test_memory_that_ran_out_has_an_error_of_its_own(linear: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = TorchRuntime(linear, device="cpu")

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(runtime, "_module", full)
    with pytest.raises(DeviceOutOfMemoryError, match=r"x \[2, 2\]: memory ran out: CUDA out of memory"):
        runtime.run({"x": rows(2)})


@pytest.mark.parametrize("name", ["m.pt2", "m.pt", "m.ts"])
@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04 cut"], ids=["empty", "text", "cut"])
def test_a_file_that_is_no_model_is_refused_with_its_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelLoadError, match=rf"cannot load .*{name} as .*torch\.export\.save") as caught:
        TorchRuntime(tmp_path / name, device="cpu")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


class Code:
    """Pickles as a call; it is unpickled where it has appended to this list."""

    ran: ClassVar[list[str]] = []

    def __reduce__(self) -> Any:
        return (_run, ("code",))


def _run(what: str) -> str:
    Code.ran.append(what)
    return what


@pytest.fixture
def booby_trap(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A file of ``torch.save`` that runs code when it is unpickled."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or SimpleNamespace(_run=_run))
    monkeypatch.setattr(sys.modules[__name__], "_run", _run, raising=False)
    Code.ran.clear()
    stream = io.BytesIO()
    torch.save(Code(), stream)
    torch.load(io.BytesIO(stream.getvalue()), weights_only=False)
    assert Code.ran, "the trap works"
    Code.ran.clear()
    return stream.getvalue()


def test_a_pickled_module_is_not_loaded(tmp_path: Path, booby_trap: bytes) -> None:
    (tmp_path / "m.pt").write_bytes(booby_trap)
    with pytest.raises(ModelLoadError, match="pickled modules and state dicts are not loaded"):
        TorchRuntime(tmp_path / "m.pt", device="cpu")
    assert Code.ran == []


def test_a_pickle_within_an_exported_program_runs_nothing(tmp_path: Path, booby_trap: bytes) -> None:
    good = export(tmp_path / "good.pt2", Linear(), torch.ones(2, 2))
    bad = tmp_path / "bad.pt2"
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        replaced = [name for name in source.namelist() if "sample_inputs" in name]
        assert replaced
        for name in source.namelist():
            target.writestr(name, booby_trap if name in replaced else source.read(name))
    with pytest.raises(ModelLoadError):
        TorchRuntime(bad, device="cpu")
    assert Code.ran == []


class FakeTorch(SimpleNamespace):
    """As much of PyTorch as choosing a device asks for."""

    def __init__(self, built: str | None, available: bool) -> None:
        super().__init__(
            __version__="2.9",
            version=SimpleNamespace(cuda=built),
            cuda=SimpleNamespace(is_available=lambda: available),
        )


@pytest.mark.parametrize(
    ("built", "available", "asked", "chosen", "reason"),
    [
        ("13", True, "auto", "cuda", None),
        ("13", True, "cuda", "cuda", None),
        ("13", True, "cpu", "cpu", None),
        (
            "13",
            False,
            "auto",
            "cpu",
            "PyTorch 2.9 is built for CUDA 13 but finds no device that it can use",
        ),
        (None, False, "auto", "cpu", "PyTorch 2.9 is built without CUDA"),
        (None, False, "cpu", "cpu", None),
    ],
)
def test_the_device_is_chosen_and_a_fallback_explained(
    built: str | None, available: bool, asked: str, chosen: str, reason: str | None
) -> None:
    assert choose_device(FakeTorch(built, available), asked) == (chosen, reason)


def test_cuda_is_never_replaced_in_silence() -> None:
    with pytest.raises(DeviceUnavailableError, match=r"'cuda', but PyTorch 2\.9 is built.*nvidia-smi"):
        choose_device(FakeTorch(None, False), "cuda")


def test_without_pytorch_the_pip_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'airflow-provider-aiopt\[torch\]'"):
        TorchRuntime(tmp_path / "m.pt2")
