"""ONNX Runtime on the CPU or on CUDA."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.data.parallel import usable_cores
from airflow_provider_aiopt.exceptions import (
    DeviceUnavailableError,
    MissingExtraError,
    ModelLoadError,
    ModelRunError,
)
from airflow_provider_aiopt.runtimes.base import TensorInfo

if TYPE_CHECKING:
    import numpy as np

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}


class OnnxRuntime:
    """An ONNX Runtime session whose execution provider is what was asked for.

    :param file: the ``.onnx`` file
    :param device: ``cpu``, ``cuda``, or ``auto`` for CUDA where it loads and else the CPU
    :param threads: threads of one call; default one for each core that the process may use
    :raises MissingExtraError: if ONNX Runtime is not installed
    :raises ModelLoadError: if it cannot load the file
    :raises DeviceUnavailableError: if *device* is ``cuda`` and CUDA does not load
    """

    def __init__(self, file: Path, *, device: str = "auto", threads: int | None = None) -> None:
        self._session = _open_session(file, device=device, threads=threads or usable_cores())
        self.inputs = tuple(_info(value) for value in self._session.get_inputs())
        self.outputs = tuple(_info(value) for value in self._session.get_outputs())

    @property
    def description(self) -> str:
        """The runtime, its version and the provider that really loaded."""
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__} {self._session.get_providers()[0]}"

    @property
    def on_device(self) -> bool:
        """Whether CUDA loaded."""
        return bool(self._session.get_providers()[0] == CUDA)

    def run(self, feeds: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """Run one batch; see :meth:`ModelRuntime.run`."""
        names = [info.name for info in self.outputs]
        wanted = {info.name: feeds[info.name] for info in self.inputs}
        try:
            values = self._session.run(names, wanted)
        except Exception as error:  # the runtime raises a class of its own for each fault
            shapes = ", ".join(f"{name} {list(value.shape)}" for name, value in wanted.items())
            raise ModelRunError(
                f"ONNX Runtime failed on a batch of {shapes}: {' '.join(str(error).split())}. If memory ran "
                "out lower execution.batch_size; if the shape is at fault export the model with a dynamic "
                "batch axis"
            ) from error
        return dict(zip(names, values, strict=True))


def _open_session(file: Path, *, device: str, threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "cpu", "Running an ONNX model") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # warnings about providers are this module's to give
    providers = _providers(onnxruntime, device)
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=providers)
    except Exception as error:  # the runtime raises a class of its own for each fault
        raise ModelLoadError(f"ONNX Runtime cannot load {file}: {' '.join(str(error).split())}") from error
    loaded = session.get_providers()[0]
    if device == "cuda" and loaded != CUDA:
        raise DeviceUnavailableError(
            f"model.device is 'cuda', but ONNX Runtime loaded {loaded}. {_CUDA_REMEDY}"
        )
    return session


_CUDA_REMEDY = (
    "Install airflow-provider-aiopt[gpu] without onnxruntime beside it (pip uninstall onnxruntime "
    "onnxruntime-gpu, then install the one), check the driver with nvidia-smi, or set model.device to "
    "'auto' or 'cpu'"
)


def _providers(onnxruntime: Any, device: str) -> list[str]:
    """Return the providers to try in order; nothing is left to the runtime's own preference."""
    if device == "cpu":
        return [CPU]
    if CUDA in onnxruntime.get_available_providers():
        onnxruntime.preload_dlls()
        return [CUDA, CPU]
    if device == "cuda":
        raise DeviceUnavailableError(
            "model.device is 'cuda', but this build of ONNX Runtime has only "
            f"{', '.join(onnxruntime.get_available_providers())}. {_CUDA_REMEDY}"
        )
    return [CPU]


def _info(value: Any) -> TensorInfo:
    shape = tuple(axis if isinstance(axis, int) else None for axis in value.shape)
    return TensorInfo(value.name, _DTYPES.get(value.type, value.type), shape)
