from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_nvml import FakeGpu, FakeNvml
from kernel_files import KernelFiles

from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.checks.machine import (
    CPU,
    GPU,
    OPEN_FILES,
    SHARED_MEMORY,
    judge_cpu,
    judge_files,
    judge_shared_memory,
)
from airflow_provider_aiopt.doctor.context import CheckContext, Fact
from airflow_provider_aiopt.doctor.models import Finding, Skip
from airflow_provider_aiopt.doctor.probe import Probe
from airflow_provider_aiopt.telemetry.hardware import gpu as gpu_module

MIB = 1024**2


@pytest.fixture
def files(tmp_path: Path) -> KernelFiles:
    return KernelFiles(tmp_path)


def run(check: Check, context: CheckContext) -> list[Finding]:
    return [item for item in check.run(context) if isinstance(item, Finding)]


class TestGpu:
    @pytest.fixture
    def install(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[FakeNvml], None]:
        monkeypatch.setattr(gpu_module, "DRIVER", (str(tmp_path),))
        return lambda nvml: monkeypatch.setitem(sys.modules, "pynvml", nvml)

    def test_every_gpu_that_the_process_may_use_is_looked_at(
        self, install: Callable[[FakeNvml], None], files: KernelFiles
    ) -> None:
        install(
            FakeNvml([FakeGpu("A", "GPU-a"), FakeGpu("B", "GPU-b", uncorrected=1), FakeGpu("C", "GPU-c")])
        )
        files.write("dev/kmsg", "")
        found = run(GPU, CheckContext(root=files.root, environ={"CUDA_VISIBLE_DEVICES": "0,1"}))
        assert [(item.subject, item.severity) for item in found] == [
            ("GPU 0 (A)", "ok"),
            ("GPU 1 (B)", "error"),
            ("NVIDIA driver", "ok"),
        ]

    def test_a_driver_without_gpus_to_ask(self, monkeypatch: pytest.MonkeyPatch, files: KernelFiles) -> None:
        monkeypatch.setattr(gpu_module, "DRIVER", ())
        files.write("proc/driver/nvidia/version", "NVRM version: x Kernel Module  580.95.05  x\n")
        (found,) = run(GPU, CheckContext(root=files.root))
        assert (found.severity, found.evidence.partition(" ")[0]) == ("warning", "580.95.05")

    def test_no_gpu(self, monkeypatch: pytest.MonkeyPatch, files: KernelFiles) -> None:
        monkeypatch.setattr(gpu_module, "DRIVER", ())
        assert list(GPU.run(CheckContext(root=files.root))) == [Skip("no NVIDIA GPU, or no driver for one")]


class TestCpu:
    @pytest.mark.parametrize(
        ("cores", "quota", "environ", "severity", "evidence"),
        [
            (16, None, {}, "ok", "16 cores; 16 threads are started by default"),
            (16, 16.0, {}, "ok", "16 cores and a CPU quota of 16; 16 threads"),
            (16, 2.0, {}, "warning", "16 cores and a CPU quota of 2; 16 threads are started by default"),
            (16, 2.0, {"OMP_NUM_THREADS": "2"}, "ok", "2 threads are set"),
            (16, 2.0, {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "8"}, "warning", "8 threads are set"),
            (4, None, {"OMP_NUM_THREADS": "64"}, "warning", "64 threads are set"),
            (4, 0.5, {"OMP_NUM_THREADS": "1"}, "warning", "a CPU quota of 0.5; 1 threads"),
            (4, None, {"OMP_NUM_THREADS": "many"}, "ok", "4 threads are started by default"),
        ],
    )
    def test_threads_beside_the_quota(
        self, cores: int, quota: float | None, environ: dict[str, str], severity: str, evidence: str
    ) -> None:
        found = judge_cpu(cores, quota, environ)
        assert found.severity == severity
        assert evidence in found.evidence

    def test_the_quota_is_read_from_the_control_group(self, files: KernelFiles) -> None:
        files.write("proc/self/cgroup", "0::/pod\n")
        files.write("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
        files.write("sys/fs/cgroup/pod/cpu.max", "10000 100000\n")
        (found,) = run(CPU, CheckContext(root=files.root, environ={}))
        assert found.severity == "warning"
        assert "a CPU quota of 0.1" in found.evidence
        assert "Set OMP_NUM_THREADS=1" in found.remedy


class TestSharedMemory:
    @pytest.mark.parametrize(
        ("total", "free", "torch", "severity"),
        [
            (64, 64, True, "warning"),
            (64, 64, False, "ok"),
            (1024, 100, True, "warning"),
            (1024, 1000, True, "ok"),
        ],
    )
    def test_room_for_torchs_workers(self, total: int, free: int, torch: bool, severity: str) -> None:
        found = judge_shared_memory(total * MIB, free * MIB, torch=torch)
        assert found.severity == severity
        assert found.evidence.startswith(f"{total} MiB, {free} MiB free")

    def test_dockers_default_is_named(self, files: KernelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
        (files.path / "dev" / "shm").mkdir(parents=True)
        status = SimpleNamespace(f_frsize=4096, f_blocks=16384, f_bavail=16384)
        monkeypatch.setattr(os, "statvfs", lambda _: status)
        probe = Probe({"torch": "2.15.0"}, {}, (), {}, {})
        (found,) = run(SHARED_MEMORY, CheckContext(root=files.root, probe=Fact.of(probe)))
        assert found.severity == "warning"
        assert "64 MiB, 64 MiB free, Docker's default: torch's DataLoader workers" in found.evidence
        assert "--shm-size=1g" in found.remedy

    def test_without_one_it_is_skipped(self, files: KernelFiles) -> None:
        assert list(SHARED_MEMORY.run(CheckContext(root=files.root))) == [Skip("there is no /dev/shm")]


class TestOpenFiles:
    @pytest.mark.parametrize(
        ("soft", "hard", "severity"),
        [
            (256, 4096, "error"),
            (1023, -1, "error"),
            (1024, 4096, "note"),
            (4096, 4096, "ok"),
            (-1, -1, "ok"),
        ],
    )
    def test_limits(self, soft: int, hard: int, severity: str) -> None:
        assert judge_files(soft, hard).severity == severity

    def test_the_process_own_limit_is_judged(self) -> None:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, limits[1]))
        try:
            (found,) = run(OPEN_FILES, CheckContext())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert (found.severity, found.evidence.partition(" ")[0]) == ("error", "512")
