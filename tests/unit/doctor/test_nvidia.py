from __future__ import annotations

from pathlib import Path

import pytest
from fake_nvml import GIB, FakeGpu, FakeNvml
from kernel_files import KernelFiles

from airflow_provider_aiopt.doctor.models import Finding
from airflow_provider_aiopt.doctor.nvidia import (
    GpuFacts,
    driver_version,
    judge_gpu,
    judge_xids,
    read_gpu,
    read_kernel_log,
)

OPEN_MODULE = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs-builder@U22)\n"
    "GCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1~22.04)\n"
)
CLOSED_MODULE = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n"
OWN = 4711


@pytest.fixture
def files(tmp_path: Path) -> KernelFiles:
    return KernelFiles(tmp_path)


def findings(gpu: FakeGpu) -> list[Finding]:
    nvml = FakeNvml([gpu])
    nvml.nvmlInit()
    return list(judge_gpu(read_gpu(nvml, gpu, 0), frozenset({OWN})))


@pytest.mark.parametrize(("text", "version"), [(OPEN_MODULE, "580.95.05"), (CLOSED_MODULE, "535.183.01")])
def test_the_version_of_the_driver(files: KernelFiles, text: str, version: str) -> None:
    files.write("proc/driver/nvidia/version", text)
    assert driver_version(files.root) == version


def test_without_a_driver_there_is_no_version(files: KernelFiles) -> None:
    assert driver_version(files.root) is None


def test_a_gpu_that_is_well() -> None:
    (found,) = findings(FakeGpu(processes=((OWN, GIB),)))
    assert (found.severity, found.subject) == ("ok", "GPU 0 (NVIDIA H100 80GB HBM3)")
    assert found.evidence == "2.0 of 80.0 GiB in use, no errors, not throttled, nobody else on it"


@pytest.mark.parametrize(
    ("gpu", "severity", "evidence"),
    [
        (FakeGpu(uncorrected=2), "error", "2 uncorrectable memory errors (ECC)"),
        (FakeGpu(remapped_rows=(0, 1, 0, 1)), "error", "could not be replaced"),
        (FakeGpu(remapped_rows=(0, 1, 1, 0)), "warning", "waits for a reset"),
        (FakeGpu(reasons=0x40 | 0x1), "warning", "held down now: hw_thermal_slowdown"),
        (FakeGpu(reasons=0x2), "note", "set lower: applications_clocks"),
        (
            FakeGpu(processes=((99, 30 * GIB),)),
            "warning",
            "1 other processes compute on it (99 with 30.0 GiB)",
        ),
        (
            FakeGpu(used_bytes=40 * GIB),
            "warning",
            "40.0 of 80.0 GiB in use, by processes that are not to be seen",
        ),
        (FakeGpu(persistent=False), "note", "persistence mode is off"),
        (FakeGpu(mig=(1, 1)), "note", "split into instances (MIG)"),
    ],
)
def test_what_can_be_wrong_with_a_gpu(gpu: FakeGpu, severity: str, evidence: str) -> None:
    (found,) = findings(gpu)
    assert found.severity == severity
    assert evidence in found.evidence
    assert found.remedy


def test_what_a_gpu_does_not_tell_is_not_judged() -> None:
    functions = {name for name in vars(FakeNvml) if name.startswith("nvmlDeviceGet")}
    (found,) = findings(FakeGpu(uncorrected=3, unsupported=functions))
    assert (found.severity, found.evidence.partition(" in use")[0]) == (
        "ok",
        "an unknown part of its memory",
    )
    assert GpuFacts("x").total_bytes is None


class TestKernelLog:
    def test_errors_of_the_driver(self, files: KernelFiles) -> None:
        files.write(
            "dev/kmsg",
            "3,4242,123456789,-;NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, GPU has fallen off the bus.\n"
            "3,4243,123456790,-;NVRM: Xid (PCI:0000:3b:00): 31, pid=1234, MMU Fault\n"
            "6,4244,123456791,-;usb 1-1: new device\n",
        )
        (found,) = judge_xids(read_kernel_log(files.root))
        assert found.severity == "warning"
        assert found.evidence.startswith(
            "2 errors in the kernel's log since boot: Xid 31, 79 on PCI:0000:3b:00"
        )

    def test_no_errors(self, files: KernelFiles) -> None:
        files.write("dev/kmsg", "6,4244,123456791,-;usb 1-1: new device\n")
        (found,) = judge_xids(read_kernel_log(files.root))
        assert found.severity == "ok"

    def test_a_log_that_may_not_be_read(self, files: KernelFiles) -> None:
        (found,) = judge_xids(read_kernel_log(files.root))
        assert (found.severity, found.remedy) == ("note", "dmesg, as root")
