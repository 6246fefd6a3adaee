"""ONNX Runtime on the CPU, on CUDA or on TensorRT."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.data.parallel import usable_cores
from airflow_provider_aiopt.exceptions import (
    DeviceUnavailableError,
    MissingExtraError,
    ModelLoadError,
)
from airflow_provider_aiopt.runtimes.base import Normalisation, TensorInfo
from airflow_provider_aiopt.runtimes.failures import run_error
from airflow_provider_aiopt.runtimes.files import cache_dir, file_sha256
from airflow_provider_aiopt.runtimes.io_binding import BoundSession
from airflow_provider_aiopt.runtimes.onnx_pixels import fuse_normalisation
from airflow_provider_aiopt.runtimes.tensorrt import (
    EngineRequest,
    compute_capability,
    load_libraries,
    tensorrt_options,
)

if TYPE_CHECKING:
    import numpy as np

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
DEVICE = "device"
"""What :attr:`OnnxRuntime.normalisation` says where the graph does it."""

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
    :param device: ``cpu``, ``cuda``, ``tensorrt``, or ``auto`` for CUDA where it loads and else the CPU
    :param threads: threads of one call; default one for each core that the process may use
    :param engines: what TensorRT builds its engines of; needed for ``tensorrt``
    :param normalisation: what the model wants done to uint8 images, which a device does in the graph
    :param profile: where ONNX Runtime profiles every call, the beginning of a file's name; None for nowhere
    :raises MissingExtraError: if ONNX Runtime is not installed
    :raises ModelLoadError: if it cannot load the file
    :raises DeviceUnavailableError: if *device* is ``cuda`` or ``tensorrt`` and does not load
    """

    def __init__(
        self,
        file: Path,
        *,
        device: str = "auto",
        threads: int | None = None,
        engines: EngineRequest | None = None,
        normalisation: Normalisation | None = None,
        profile: Path | None = None,
    ) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError("onnxruntime", "cpu", "Running an ONNX model") from error
        onnxruntime.disable_telemetry_events()  # some builds report their use to their makers
        opener = _Opener(onnxruntime, device, threads or usable_cores(), engines, profile)
        self.file = file
        self._reopen = partial(
            OnnxRuntime, device=device, threads=threads, engines=engines, normalisation=normalisation
        )
        self.normalisation: str | None = None
        # On the CPU numpy does it: docs/performance.md has the measurements.
        if normalisation and device != "cpu" and CUDA in onnxruntime.get_available_providers():
            self._session, self.normalisation = _open_fused(opener, file, normalisation)
        else:
            self._session = opener.open(file)
            self.normalisation = "host" if normalisation else None
        self._provider: str = self._session.get_providers()[0]
        pixels = self.normalisation == DEVICE
        self.inputs = tuple(replace(_info(value), pixels=pixels) for value in self._session.get_inputs())
        self.outputs = tuple(_info(value) for value in self._session.get_outputs())
        self.fallback = _fallback(onnxruntime, device, self._provider)
        self._run = (
            BoundSession(self._session, onnxruntime.OrtValue, "cuda").run
            if self.on_device
            else self._session.run
        )

    @property
    def description(self) -> str:
        """The runtime, its version and the provider that really loaded."""
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__} {self._provider}"

    @property
    def on_device(self) -> bool:
        """Whether CUDA or TensorRT loaded."""
        return self._provider != CPU

    def profiled(self, prefix: Path) -> OnnxRuntime:
        """Open the model once more, all of whose calls ONNX Runtime then profiles.

        :param prefix: the beginning of the profile's file name
        """
        return self._reopen(self.file, profile=prefix)

    def end_profile(self) -> Path:
        """End the profile and return its file."""
        return Path(self._session.end_profiling())

    def run(self, feeds: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """Run one batch; see :meth:`ModelRuntime.run`."""
        names = [info.name for info in self.outputs]
        wanted = {info.name: feeds[info.name] for info in self.inputs}
        try:
            values = self._run(names, wanted)
        except Exception as error:  # the runtime raises a class of its own for each fault
            raise run_error("ONNX Runtime", error, wanted) from error
        return dict(zip(names, values, strict=True))


@dataclass(frozen=True)
class _Opener:
    """Opens sessions of a model's file, or of its content, on the device that was asked for."""

    onnxruntime: Any
    device: str
    threads: int
    engines: EngineRequest | None
    profile: Path | None = None

    def open(self, model: Path | bytes) -> Any:
        providers = _providers(self.onnxruntime, self.device, model, self.engines)
        session = _open_session(self.onnxruntime, model, providers, self.threads, self.profile)
        _check_loaded(self.device, session.get_providers()[0])
        return session


def _open_fused(opener: _Opener, file: Path, normalisation: Normalisation) -> tuple[Any, str]:
    """Return a session that normalises in its graph if it runs on a device, and where that is done."""
    try:
        model = fuse_normalisation(file, normalisation)
    except ValueError as error:
        session = opener.open(file)
        return session, "host" if session.get_providers()[0] == CPU else f"host: {error}"
    # Another graph has other engines.
    engines = opener.engines and replace(opener.engines, sha256=_digest(model))
    session = replace(opener, engines=engines).open(model)
    if session.get_providers()[0] != CPU:
        return session, DEVICE
    return replace(opener, device="cpu").open(file), "host"  # the device did not load


def _open_session(
    onnxruntime: Any,
    model: Path | bytes,
    providers: Sequence[Any],
    threads: int,
    profile: Path | None = None,
) -> Any:
    options = onnxruntime.SessionOptions()
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    options.intra_op_num_threads = threads
    # A thread that spins between two operators takes a core from decoding and makes no call shorter:
    # docs/performance.md has the measurements.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # warnings about providers are this module's to give
    try:
        source = model if isinstance(model, bytes) else str(model)
        return onnxruntime.InferenceSession(source, options, providers=list(providers))
    except Exception as error:  # the runtime raises a class of its own for each fault
        what = "the model with its normalisation" if isinstance(model, bytes) else str(model)
        raise ModelLoadError(f"ONNX Runtime cannot load {what}: {' '.join(str(error).split())}") from error


_REMEDY = (
    "Install airflow-provider-aiopt[gpu] without onnxruntime beside it (pip uninstall onnxruntime "
    "onnxruntime-gpu, then install the one), check the driver with nvidia-smi, or set model.device to "
    "'auto' or 'cpu'"
)
_NEEDED = {"cuda": CUDA, "tensorrt": TENSORRT}


def _providers(
    onnxruntime: Any, device: str, model: Path | bytes, engines: EngineRequest | None
) -> list[str | tuple[str, dict[str, Any]]]:
    """Return the providers to try in order; nothing is left to the runtime's own preference."""
    available = onnxruntime.get_available_providers()
    needed = _NEEDED.get(device)
    if needed and needed not in available:
        raise DeviceUnavailableError(
            f"model.device is {device!r}, but this build of ONNX Runtime has only {', '.join(available)}. "
            f"{_REMEDY}"
        )
    if device == "cpu" or CUDA not in available:
        return [CPU]
    onnxruntime.preload_dlls()
    if device != "tensorrt":
        return [CUDA, CPU]
    load_libraries()
    options = _engine_options(onnxruntime, model, engines or EngineRequest(_digest(model)))
    return [(TENSORRT, options), CUDA, CPU]  # what TensorRT does not know of the graph runs on CUDA


def _digest(model: Path | bytes) -> str:
    return hashlib.sha256(model).hexdigest() if isinstance(model, bytes) else file_sha256(model)


def _engine_options(onnxruntime: Any, model: Path | bytes, engines: EngineRequest) -> dict[str, Any]:
    # The profile names the inputs, which only a session knows.
    inputs = _open_session(onnxruntime, model, [CPU], 1).get_inputs()
    options = tensorrt_options(
        engines,
        [_info(value) for value in inputs],
        version=onnxruntime.__version__,
        capability=compute_capability(),
        cache=cache_dir() / "tensorrt",
    )
    Path(options["trt_engine_cache_path"]).mkdir(parents=True, exist_ok=True)
    return options


def _check_loaded(device: str, loaded: str) -> None:
    """Check that what was asked for loaded: the runtime goes on without a provider that does not load."""
    if _NEEDED.get(device, loaded) != loaded:
        libraries = " Install TensorRT's libraries." if device == "tensorrt" else ""
        raise DeviceUnavailableError(
            f"model.device is {device!r}, but ONNX Runtime loaded {loaded}.{libraries} {_REMEDY}"
        )


def _fallback(onnxruntime: Any, device: str, loaded: str) -> str | None:
    if device != "auto" or loaded != CPU:
        return None
    if CUDA in onnxruntime.get_available_providers():
        return f"ONNX Runtime {onnxruntime.__version__} is built for CUDA but could not load it"
    return f"ONNX Runtime {onnxruntime.__version__} is built without CUDA"


def _info(value: Any) -> TensorInfo:
    shape = tuple(axis if isinstance(axis, int) else None for axis in value.shape)
    return TensorInfo(value.name, _DTYPES.get(value.type, value.type), shape)
