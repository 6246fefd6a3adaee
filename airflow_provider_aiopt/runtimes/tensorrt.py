"""What ONNX Runtime's TensorRT provider is told: the shapes to build engines for and where to keep them."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.exceptions import DeviceUnavailableError
from airflow_provider_aiopt.runtimes.base import TensorInfo

_MAJOR, _MINOR = 75, 76  # CUdevice_attribute: COMPUTE_CAPABILITY_MAJOR and _MINOR


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """What engines are built of.

    :param sha256: hash of the model file
    :param batch_sizes: rows that calls will have, ascending; empty where that is not known
    """

    sha256: str
    batch_sizes: tuple[int, ...] = ()


def tensorrt_options(
    request: EngineRequest, inputs: Sequence[TensorInfo], *, version: str, capability: str, cache: Path
) -> dict[str, Any]:
    """Return the provider's options.

    An engine fits one model, one ONNX Runtime, which fixes the TensorRT, and one kind of device, so each of
    them has a folder of its own below *cache*: nothing stale is ever found.

    :param inputs: the model's inputs
    :param version: ONNX Runtime's version
    :param capability: the device's compute capability, for example ``9.0``
    :param cache: folder of all engines
    """
    folder = str(cache / f"{request.sha256[:16]}-ort{version}-sm{capability}")
    return {
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": folder,
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": folder,
        **_profile(inputs, request.batch_sizes),
    }


def _profile(inputs: Sequence[TensorInfo], sizes: Sequence[int]) -> dict[str, str]:
    """Return the range of shapes that one engine is built for, tuned for the largest.

    Without it the first call of each new range of shapes builds an engine anew.  It begins at one row: where
    memory runs out calls become smaller than any of *sizes*.  The provider wants it for all inputs or for
    none; a model with further axes of any length gets none.
    """
    shapes = [(info.name, info.shape) for info in inputs]
    dynamic = [(name, shape) for name, shape in shapes if shape is None or None in shape]
    if not sizes or not dynamic or any(shape is None or None in shape[1:] for _, shape in dynamic):
        return {}
    rows = {"min": 1, "opt": sizes[-1], "max": sizes[-1]}
    return {
        f"trt_profile_{bound}_shapes": ",".join(
            f"{name}:{'x'.join(map(str, (count, *(shape or ())[1:])))}" for name, shape in dynamic
        )
        for bound, count in rows.items()
    }


def compute_capability(load: Callable[[str], Any] = ctypes.CDLL) -> str:
    """Return the compute capability of the first device, by CUDA's driver, for example ``9.0``.

    :param load: opens a shared library
    :raises DeviceUnavailableError: if there is no driver or no device
    """
    try:
        driver = load("libcuda.so.1")
    except OSError as error:
        raise DeviceUnavailableError(
            f"model.device is 'tensorrt', but CUDA's driver cannot be loaded: {error}. Install the NVIDIA "
            "driver, or set model.device to 'auto' or 'cpu'"
        ) from error
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    failed = (
        driver.cuInit(0)
        or driver.cuDeviceGet(ctypes.byref(device), 0)
        or driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
        or driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    )
    if failed:
        raise DeviceUnavailableError(
            f"model.device is 'tensorrt', but CUDA's driver finds no device (CUresult {failed}). Check it "
            "with nvidia-smi, or set model.device to 'auto' or 'cpu'"
        )
    return f"{major.value}.{minor.value}"


def load_libraries() -> None:
    """Load TensorRT's libraries where they were installed with pip; elsewhere the system finds them."""
    with suppress(ImportError):
        importlib.import_module("tensorrt")
