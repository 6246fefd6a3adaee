"""What the driver says of the GPU, through NVML.

``python -m benchmarks.nvidia`` needs nothing but Python and says whether there is a GPU.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

_PERIOD_S = 0.1
NO_GPU = 69
"""Exit status where there is no GPU: EX_UNAVAILABLE of sysexits.h."""


def check_driver() -> None:
    """Check that NVIDIA's driver is there and finds a device.

    :raises RuntimeError: if not, with the reason
    """
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError as error:
        raise RuntimeError(f"its driver is not installed ({error})") from None
    count = ctypes.c_uint(0)
    failed = library.nvmlInit_v2() or library.nvmlDeviceGetCount_v2(ctypes.byref(count))
    if failed or not count.value:
        raise RuntimeError(f"its driver finds none (NVML's status {failed}, {count.value} devices)")


def describe() -> dict[str, Any]:
    """Return the first GPU's name, memory and compute capability and the driver's version.

    :raises RuntimeError: if there is no GPU, no driver or no module for it
    """
    check_driver()
    try:
        import pynvml
    except ImportError:
        raise RuntimeError("the module pynvml is missing: make install-gpu") from None
    try:
        pynvml.nvmlInit()
        gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
        return {
            "name": pynvml.nvmlDeviceGetName(gpu),
            "memory_bytes": int(pynvml.nvmlDeviceGetMemoryInfo(gpu).total),
            "compute_capability": "{}.{}".format(*pynvml.nvmlDeviceGetCudaComputeCapability(gpu)),
            "driver": pynvml.nvmlSystemGetDriverVersion(),
            "cuda_of_driver": pynvml.nvmlSystemGetCudaDriverVersion_v2(),
            "count": pynvml.nvmlDeviceGetCount(),
        }
    except pynvml.NVMLError as error:
        raise RuntimeError(f"NVML fails: {error}") from error


class Utilisation:
    """The share of the time in which the GPU ran a kernel, sampled while a block runs."""

    def __init__(self) -> None:
        self.samples: list[float] = []

    @property
    def mean(self) -> float | None:
        """The mean of the samples, None without any."""
        return sum(self.samples) / len(self.samples) if self.samples else None

    @contextmanager
    def sampled(self) -> Iterator[None]:
        """Sample while the block runs."""
        import pynvml

        pynvml.nvmlInit()
        gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
        stop = threading.Event()

        def sample() -> None:
            while not stop.wait(_PERIOD_S):
                self.samples.append(pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100)

        thread = threading.Thread(target=sample, name="bench-nvml")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def refuse(error: RuntimeError) -> NoReturn:
    """Say why the benchmark does not run here and end the process with :data:`NO_GPU`."""
    print(
        f"This benchmark needs an NVIDIA GPU: {error}. To test it without one: "
        "python -m benchmarks.gpu --device cpu",
        file=sys.stderr,
    )
    raise SystemExit(NO_GPU)


if __name__ == "__main__":
    try:
        check_driver()
    except RuntimeError as error:
        refuse(error)
