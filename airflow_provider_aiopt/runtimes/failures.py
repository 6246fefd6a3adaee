"""What a runtime raises on a batch, in the package's own terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.exceptions import DeviceOutOfMemoryError, ModelRunError

if TYPE_CHECKING:
    import numpy as np

# Runtimes have one class for all that goes wrong on a device; only the text tells.
_OUT_OF_MEMORY = (
    "failed to allocate memory",  # ONNX Runtime's arenas
    "smaller than requested bytes",  # the same, where gpu_mem_limit stops them
    "out of memory",  # CUDA, TensorRT, PyTorch
    "out_of_memory",  # CUDA_ERROR_OUT_OF_MEMORY
    "alloc_failed",  # CUBLAS_STATUS_ALLOC_FAILED, CUDNN_STATUS_ALLOC_FAILED
    "bad_alloc",  # C++
    "can't allocate memory",  # PyTorch on the CPU
)


def run_error(runtime: str, error: Exception, feeds: Mapping[str, np.ndarray[Any, Any]]) -> ModelRunError:
    """Return the error to raise where a model fails on a batch.

    :param runtime: name of the runtime
    :param error: what it raised
    :param feeds: the batch
    """
    text = " ".join(str(error).split())
    batch = f"{runtime} failed on a batch of " + ", ".join(
        f"{name} {list(value.shape)}" for name, value in feeds.items()
    )
    if isinstance(error, MemoryError) or any(sign in text.lower() for sign in _OUT_OF_MEMORY):
        return DeviceOutOfMemoryError(f"{batch}: memory ran out: {text}. Lower execution.batch_size")
    return ModelRunError(
        f"{batch}: {text}. If the shape is at fault export the model with a dynamic batch axis"
    )
