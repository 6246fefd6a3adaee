"""The GPUs that the process may use, through NVIDIA's management library."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.telemetry.hardware.reading import GpuState

VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"

DRIVER = ("/dev/nvidiactl", "/dev/dxg")
"""Devices of which one is there where a driver is: on Linux, and in the Windows Subsystem for Linux."""

THROTTLE_REASONS: Mapping[int, str] = {
    0x002: "applications_clocks",
    0x004: "sw_power_cap",
    0x008: "hw_slowdown",
    0x010: "sync_boost",
    0x020: "sw_thermal_slowdown",
    0x040: "hw_thermal_slowdown",
    0x080: "hw_power_brake",
    0x100: "display_clocks",
}
"""NVML's bits for why a clock is held down.  That the GPU is idle, 0x001, is no throttling."""

SLOWDOWNS = frozenset(
    {"sw_power_cap", "hw_slowdown", "sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake"}
)
"""Those that heat or want of power brings about; the others are settings."""

_ANY_REASON = sum(THROTTLE_REASONS)


class Gpus:
    """Reads a few GPUs, all taken together.

    :param nvml: the module ``pynvml``, initialised
    :param handles: its handles of the devices
    """

    def __init__(self, nvml: Any, handles: Iterable[Any]) -> None:
        self._nvml = nvml
        self._handles = tuple(handles)
        self.names = tuple(map(str, self._ask(nvml.nvmlDeviceGetName)))
        memory = self._ask(nvml.nvmlDeviceGetMemoryInfo)
        self.memory_total_bytes = sum(int(item.total) for item in memory) if memory else None

    def read(self) -> GpuState:
        """Return their state now; what a device does not tell, as a slice of one may not, is left out."""
        nvml = self._nvml
        busy = self._ask(nvml.nvmlDeviceGetUtilizationRates)
        memory = self._ask(nvml.nvmlDeviceGetMemoryInfo)
        milliwatts = self._ask(nvml.nvmlDeviceGetPowerUsage)
        clocks = self._ask(lambda handle: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))
        reasons = self._ask(nvml.nvmlDeviceGetCurrentClocksThrottleReasons)
        return GpuState(
            utilisation=sum(item.gpu for item in busy) / 100 / len(busy) if busy else None,
            memory_bytes=sum(int(item.used) for item in memory) if memory else None,
            power_w=sum(milliwatts) / 1000 if milliwatts else None,
            sm_clock_mhz=sum(clocks) / len(clocks) if clocks else None,
            throttle_reasons=reduce(or_, reasons) & _ANY_REASON if reasons else None,
        )

    def _ask(self, function: Callable[[Any], Any]) -> list[Any]:
        answers = []
        for handle in self._handles:
            try:
                answers.append(function(handle))
            except self._nvml.NVMLError:  # not supported, or the device has been lost
                continue
        return answers


def open_gpus(visible: str | None = None) -> Gpus | None:
    """Open the GPUs that the process may use.

    :param visible: their numbers or UUIDs, as in ``CUDA_VISIBLE_DEVICES``, whose value is the default
    :returns: None where there is none, no driver, or no module ``pynvml``, which the extra ``nvml`` installs
    """
    opened = open_devices(visible)
    return Gpus(*opened) if opened else None


def open_devices(visible: str | None = None) -> tuple[Any, list[Any]] | None:
    """Return the module ``pynvml``, initialised, and its handles of the GPUs that the process may use.

    :param visible: as for :func:`open_gpus`
    :returns: None as for :func:`open_gpus`
    """
    if not any(Path(device).exists() for device in DRIVER):
        return None  # importing the module costs 60 ms
    try:
        import pynvml
    except ImportError:
        return None
    chosen = os.environ.get(VISIBLE_DEVICES) if visible is None else visible
    try:
        pynvml.nvmlInit()
        handles = _handles(pynvml, chosen)
    except pynvml.NVMLError:
        return None
    return (pynvml, handles) if handles else None


def _handles(nvml: Any, visible: str | None) -> list[Any]:
    names: Iterable[str] = map(str, range(nvml.nvmlDeviceGetCount()))
    if visible is not None:
        names = filter(None, map(str.strip, visible.split(",")))
    handles = []
    for name in names:
        by_name = nvml.nvmlDeviceGetHandleByUUID
        try:
            handles.append(nvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdecimal() else by_name(name))
        except nvml.NVMLError:
            if visible is not None:  # CUDA, too, ends the list at the first name that is no device's
                break
    return handles
