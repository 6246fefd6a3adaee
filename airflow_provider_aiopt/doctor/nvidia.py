"""NVIDIA's driver and the state of its GPUs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from airflow_provider_aiopt.doctor.models import Finding, error, note, ok, warning
from airflow_provider_aiopt.telemetry.hardware.files import read_file
from airflow_provider_aiopt.telemetry.hardware.gpu import SLOWDOWNS, THROTTLE_REASONS

_DRIVER = re.compile(rb"Kernel Module[^\n]*?\s(\d+\.\d+(?:\.\d+)?)\s")
_XID = re.compile(r"NVRM: Xid \(([^)]+)\): (\d+)")
_XID_PAGE = "https://docs.nvidia.com/deploy/xid-errors/"
_UNCORRECTED, _SINCE_BOOT = 1, 0  # nvmlMemoryErrorType_t, nvmlEccCounterType_t
_GIB = 1024**3
_RECORD = 8192
_SHOWN = 3
# What a desktop or a monitoring agent takes is no competitor.
_MUCH = 0.1


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """A GPU's state; None for what it does not tell.

    :param name: its name and number
    :param used_bytes: memory in use, by whomever
    :param total_bytes: its memory
    :param processes: ids and bytes of the processes that compute on it
    :param persistent: whether the driver keeps it initialised while nobody uses it
    :param uncorrected: uncorrectable memory errors since the driver was loaded
    :param remap_pending: whether a row of its memory waits for a reset to be replaced
    :param remap_failed: whether one could not be replaced
    :param throttle_reasons: NVML's bits
    :param mig: whether it is split into instances
    """

    name: str
    used_bytes: int | None = None
    total_bytes: int | None = None
    processes: tuple[tuple[int, int | None], ...] = ()
    persistent: bool | None = None
    uncorrected: int | None = None
    remap_pending: bool | None = None
    remap_failed: bool | None = None
    throttle_reasons: int | None = None
    mig: bool | None = None


def driver_version(root: str = "/") -> str | None:
    """Return the version of the NVIDIA driver that is loaded, None where none is.

    :param root: the file system's root
    """
    content = read_file(f"{root.rstrip('/')}/proc/driver/nvidia/version") or b""
    match = _DRIVER.search(content)
    return match[1].decode() if match else None


def read_gpu(nvml: Any, handle: Any, number: int) -> GpuFacts:
    """Read a GPU's state.

    :param nvml: the module ``pynvml``, initialised
    :param handle: its handle of the device
    :param number: the device's number among those in use
    """

    def ask(function: Callable[[], Any]) -> Any:
        try:
            return function()
        except (nvml.NVMLError, AttributeError):  # not supported by the device, or by this pynvml
            return None

    memory = ask(lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    rows = ask(lambda: nvml.nvmlDeviceGetRemappedRows(handle))
    mig = ask(lambda: nvml.nvmlDeviceGetMigMode(handle))
    persistent = ask(lambda: nvml.nvmlDeviceGetPersistenceMode(handle))
    processes = ask(lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle)) or ()
    return GpuFacts(
        name=f"GPU {number} ({ask(lambda: nvml.nvmlDeviceGetName(handle))})",
        used_bytes=memory and int(memory.used),
        total_bytes=memory and int(memory.total),
        processes=tuple((int(item.pid), item.usedGpuMemory) for item in processes),
        persistent=None if persistent is None else bool(persistent),
        uncorrected=ask(lambda: nvml.nvmlDeviceGetTotalEccErrors(handle, _UNCORRECTED, _SINCE_BOOT)),
        remap_pending=rows and bool(rows[2]),
        remap_failed=rows and bool(rows[3]),
        throttle_reasons=ask(lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)),
        mig=mig and bool(mig[0]),
    )


def judge_gpu(gpu: GpuFacts, own_pids: frozenset[int]) -> Iterator[Finding]:
    """Judge a GPU's state.

    :param own_pids: processes that are no strangers
    """
    found = [*_memory_faults(gpu), *_throttling(gpu), *_company(gpu, own_pids), *_settings(gpu)]
    yield from found
    if not found:
        yield ok(gpu.name, f"{_memory(gpu)} in use, no errors, not throttled, nobody else on it")


def _memory_faults(gpu: GpuFacts) -> Iterator[Finding]:
    if gpu.remap_failed:
        yield error(gpu.name, "a faulty row of its memory could not be replaced", "Have the GPU exchanged")
    if gpu.uncorrected:
        yield error(
            gpu.name,
            f"{gpu.uncorrected} uncorrectable memory errors (ECC) since the driver was loaded: results may "
            "be "
            "wrong, and processes die",
            "Drain the machine and reset the GPU (nvidia-smi --gpu-reset); if they come again, have it "
            "exchanged",
        )
    if gpu.remap_pending:
        yield warning(
            gpu.name,
            "a faulty row of its memory waits for a reset to be replaced",
            "Drain the machine and reset the GPU: nvidia-smi --gpu-reset",
        )


def _throttling(gpu: GpuFacts) -> Iterator[Finding]:
    names = [name for bit, name in THROTTLE_REASONS.items() if (gpu.throttle_reasons or 0) & bit]
    slowed = [name for name in names if name in SLOWDOWNS]
    if slowed:
        yield warning(
            gpu.name,
            f"its clock is held down now: {', '.join(slowed)}",
            "Cooling for thermal reasons, the power limit (nvidia-smi --power-limit) or the supply for "
            "power ones",
        )
    elif names:
        yield note(
            gpu.name, f"its clock is set lower: {', '.join(names)}", "nvidia-smi --reset-applications-clocks"
        )


def _company(gpu: GpuFacts, own_pids: frozenset[int]) -> Iterator[Finding]:
    strangers = [(pid, used) for pid, used in gpu.processes if pid not in own_pids]
    share = (gpu.used_bytes or 0) / gpu.total_bytes if gpu.total_bytes else 0.0
    if strangers:
        told = ", ".join(
            f"{pid}" + (f" with {used / _GIB:.1f} GiB" if used else "") for pid, used in strangers[:_SHOWN]
        )
        yield warning(
            gpu.name,
            f"{len(strangers)} other processes compute on it ({told}); {_memory(gpu)} in use",
            "Give it to one task at a time: a slot of [aiopt] gpu_pool for each GPU, and "
            "CUDA_VISIBLE_DEVICES",
        )
    elif share > _MUCH:
        # In a container the processes of others are not to be seen, their memory is.
        yield warning(
            gpu.name,
            f"{_memory(gpu)} in use, by processes that are not to be seen from here",
            "See on the host, with nvidia-smi, who has it",
        )


def _settings(gpu: GpuFacts) -> Iterator[Finding]:
    if gpu.persistent is False:
        yield note(
            gpu.name,
            "persistence mode is off: the first task after a pause waits until the driver has initialised "
            "it again",
            "Run nvidia-persistenced, or nvidia-smi --persistence-mode=1",
        )
    if gpu.mig:
        yield note(
            gpu.name,
            "is split into instances (MIG): a task sees one, and utilisation and power are not told for it",
            "Count instances, not GPUs, in [aiopt] gpu_pool_slots, and name them in CUDA_VISIBLE_DEVICES",
        )


def _memory(gpu: GpuFacts) -> str:
    if gpu.used_bytes is None or not gpu.total_bytes:
        return "an unknown part of its memory"
    return f"{gpu.used_bytes / _GIB:.1f} of {gpu.total_bytes / _GIB:.1f} GiB"


def read_kernel_log(root: str = "/") -> str | None:
    """Return the kernel's log, None where it may not be read.

    :param root: the file system's root
    """
    try:
        descriptor = os.open(f"{root.rstrip('/')}/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    records = []
    try:
        while record := os.read(descriptor, _RECORD):
            records.append(record)
    except OSError:  # nothing more is there now, or a record was overwritten
        pass
    finally:
        os.close(descriptor)
    return b"".join(records).decode("utf-8", "replace")


def judge_xids(log: str | None) -> Iterator[Finding]:
    """Judge the driver's own error reports (Xid) in the kernel's log."""
    if log is None:
        yield note(
            "kernel log", "may not be read, so errors of the driver (Xid) are not known", "dmesg, as root"
        )
        return
    found = _XID.findall(log)
    if found:
        codes = sorted({int(code) for _, code in found})
        yield warning(
            "NVIDIA driver",
            f"{len(found)} errors in the kernel's log since boot: Xid {', '.join(map(str, codes))} on "
            f"{', '.join(sorted({device for device, _ in found}))}",
            f"{_XID_PAGE} says what each means; 48, 63, 64, 79, 94 and 95 are the hardware's",
        )
    else:
        yield ok("NVIDIA driver", "no errors (Xid) in the kernel's log")
