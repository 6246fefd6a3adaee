# ruff: noqa: N802 - the functions have NVML's own names
"""A stand-in for the module ``pynvml``: what the package calls of it, over made-up devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

GIB = 1024**3


class NVMLError(Exception):
    """Every failure of the library."""


@dataclass
class FakeGpu:
    """One device.

    :param remapped_rows: for correctable errors, for uncorrectable ones, whether any is pending, or failed
    :param mig: whether it is split into instances, and whether it will be after a reset
    :param processes: ids and bytes of those that compute on it
    :param unsupported: names of functions that it does not support
    """

    name: str = "NVIDIA H100 80GB HBM3"
    uuid: str = "GPU-0000"
    busy_percent: int = 50
    used_bytes: int = 2 * GIB
    total_bytes: int = 80 * GIB
    milliwatts: int = 350_000
    sm_clock_mhz: int = 1980
    reasons: int = 0
    persistent: bool = True
    uncorrected: int = 0
    remapped_rows: tuple[int, int, int, int] = (0, 0, 0, 0)
    mig: tuple[int, int] = (0, 0)
    processes: tuple[tuple[int, int], ...] = ()
    unsupported: set[str] = field(default_factory=set)


class FakeNvml(ModuleType):
    """The module; a handle is the device itself.

    :param gpus: the devices
    :param driver: whether there is a driver
    """

    NVMLError = NVMLError
    NVML_CLOCK_SM = 1

    def __init__(self, gpus: Sequence[FakeGpu] = (), *, driver: bool = True) -> None:
        super().__init__("pynvml")
        self._gpus = list(gpus)
        self._driver = driver
        self._initialised = False

    def nvmlInit(self) -> None:
        if not self._driver:
            raise NVMLError("NVML Shared Library Not Found")
        self._initialised = True

    def nvmlDeviceGetCount(self) -> int:
        self._check()
        return len(self._gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeGpu:
        self._check()
        if index >= len(self._gpus):
            raise NVMLError("Invalid Argument")
        return self._gpus[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> FakeGpu:
        self._check()
        for gpu in self._gpus:
            if gpu.uuid == uuid:
                return gpu
        raise NVMLError("Not Found")

    def nvmlDeviceGetName(self, handle: FakeGpu) -> str:
        return self._answer(handle, "nvmlDeviceGetName", handle.name)

    def nvmlDeviceGetUtilizationRates(self, handle: FakeGpu) -> Any:
        rates = SimpleNamespace(gpu=handle.busy_percent, memory=0)
        return self._answer(handle, "nvmlDeviceGetUtilizationRates", rates)

    def nvmlDeviceGetMemoryInfo(self, handle: FakeGpu) -> Any:
        memory = SimpleNamespace(
            used=handle.used_bytes, total=handle.total_bytes, free=handle.total_bytes - handle.used_bytes
        )
        return self._answer(handle, "nvmlDeviceGetMemoryInfo", memory)

    def nvmlDeviceGetPowerUsage(self, handle: FakeGpu) -> int:
        return self._answer(handle, "nvmlDeviceGetPowerUsage", handle.milliwatts)

    def nvmlDeviceGetClockInfo(self, handle: FakeGpu, kind: int) -> int:
        assert kind == self.NVML_CLOCK_SM
        return self._answer(handle, "nvmlDeviceGetClockInfo", handle.sm_clock_mhz)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: FakeGpu) -> int:
        return self._answer(handle, "nvmlDeviceGetCurrentClocksThrottleReasons", handle.reasons)

    def nvmlDeviceGetPersistenceMode(self, handle: FakeGpu) -> int:
        return self._answer(handle, "nvmlDeviceGetPersistenceMode", int(handle.persistent))

    def nvmlDeviceGetTotalEccErrors(self, handle: FakeGpu, kind: int, counter: int) -> int:
        assert (kind, counter) == (1, 0)  # uncorrected, since the driver was loaded
        return self._answer(handle, "nvmlDeviceGetTotalEccErrors", handle.uncorrected)

    def nvmlDeviceGetRemappedRows(self, handle: FakeGpu) -> tuple[int, int, int, int]:
        return self._answer(handle, "nvmlDeviceGetRemappedRows", handle.remapped_rows)

    def nvmlDeviceGetMigMode(self, handle: FakeGpu) -> list[int]:
        return self._answer(handle, "nvmlDeviceGetMigMode", list(handle.mig))

    def nvmlDeviceGetComputeRunningProcesses(self, handle: FakeGpu) -> list[Any]:
        found = [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in handle.processes]
        return self._answer(handle, "nvmlDeviceGetComputeRunningProcesses", found)

    def _answer(self, handle: FakeGpu, function: str, value: Any) -> Any:
        self._check()
        if function in handle.unsupported:
            raise NVMLError("Not Supported")
        return value

    def _check(self) -> None:
        if not self._initialised:
            raise NVMLError("Uninitialized")
