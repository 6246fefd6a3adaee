"""This machine: its GPUs, cores, shared memory and files."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path

from airflow_provider_aiopt.data.parallel import usable_cores
from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.context import CheckContext
from airflow_provider_aiopt.doctor.models import Finding, Skip, error, note, ok, warning
from airflow_provider_aiopt.doctor.nvidia import (
    driver_version,
    judge_gpu,
    judge_xids,
    read_gpu,
    read_kernel_log,
)
from airflow_provider_aiopt.telemetry.hardware.cgroup import ControlGroup
from airflow_provider_aiopt.telemetry.hardware.gpu import open_devices

_MIB = 1024**2
_DOCKER_SHM = 64 * _MIB
# Four workers of torch's DataLoader with two batches each of 32 images of 224 x 224 as float32: 154 MiB; the
# next larger round size that leaves as much again.
_TORCH_SHM = 256 * _MIB
_SHM = "/dev/shm"  # noqa: S108 - it is only measured
_MANY_FILES = 4096
_FEW_FILES = 1024
_OVERSUBSCRIBED = 1.5
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def _run_gpu(context: CheckContext) -> Iterator[Finding | Skip]:
    opened = open_devices(context.environ.get("CUDA_VISIBLE_DEVICES"))
    if opened is None:
        driver = driver_version(context.root)
        if driver:
            yield warning(
                "NVIDIA driver",
                f"{driver} is loaded, and no GPU can be asked for its state",
                "pip install 'airflow-provider-aiopt[nvml]'; check CUDA_VISIBLE_DEVICES and nvidia-smi",
            )
        else:
            yield Skip("no NVIDIA GPU, or no driver for one")
        return
    nvml, handles = opened
    for number, handle in enumerate(handles):
        yield from judge_gpu(read_gpu(nvml, handle, number), frozenset({os.getpid()}))
    yield from judge_xids(read_kernel_log(context.root))


def _run_cpu(context: CheckContext) -> Iterator[Finding | Skip]:
    quota = ControlGroup(context.root).cpu_quota_cores()
    yield judge_cpu(usable_cores(), quota, context.environ)


def judge_cpu(cores: int, quota: float | None, environ: Mapping[str, str]) -> Finding:
    """Compare the threads that numerical libraries start with the cores that a container is given.

    :param cores: cores that the process may run on, as libraries count them
    :param quota: cores' worth of time that its control group may use; None for no limit
    :param environ: the environment's variables
    """
    told = [environ[name] for name in _THREAD_VARIABLES if environ.get(name, "").isdigit()]
    threads = max(map(int, told), default=cores)
    origin = "are set" if told else "are started by default"
    given = cores if quota is None else min(quota, cores)
    limited = f"{cores} cores" if quota is None else f"{cores} cores and a CPU quota of {quota:g}"
    evidence = f"{limited}; {threads} threads {origin} for each library that computes"
    if threads > given * _OVERSUBSCRIBED:
        whole = max(1, int(given))
        effect = (
            "they take turns on the cores"
            if quota is None
            else "once the quota is used up, all of them stand still until the next period of 100 ms"
        )
        return warning(
            "CPU",
            f"{evidence}: {effect}",
            f"Set OMP_NUM_THREADS={whole}, execution.workers: {whole} and model.threads: {whole}"
            + ("" if quota is None else ", or raise the quota"),
        )
    return ok("CPU", evidence)


def _run_shared_memory(context: CheckContext) -> Iterator[Finding | Skip]:
    folder = f"{context.root.rstrip('/')}{_SHM}"
    if not Path(folder).is_dir():
        yield Skip("there is no /dev/shm")
        return
    status = os.statvfs(folder)
    probe = context.probe.get()
    torch = not isinstance(probe, Skip) and "torch" in probe.versions
    yield judge_shared_memory(
        status.f_frsize * status.f_blocks, status.f_frsize * status.f_bavail, torch=torch
    )


def judge_shared_memory(total: int, free: int, *, torch: bool) -> Finding:
    """Judge the size of ``/dev/shm``, through which torch's DataLoader workers hand over batches.

    :param total: its size in bytes
    :param free: how many of them are free
    :param torch: whether torch is installed
    """
    evidence = f"{total / _MIB:.0f} MiB, {free / _MIB:.0f} MiB free"
    if not torch or free >= _TORCH_SHM:
        return ok(_SHM, evidence)
    docker = ", Docker's default" if total == _DOCKER_SHM else ""
    return warning(
        _SHM,
        f"{evidence}{docker}: torch's DataLoader workers hand over batches there, and die of a bus error "
        "where it "
        f"is full; {_TORCH_SHM // _MIB} MiB are the least for four of them",
        "docker run --shm-size=1g, shm_size in Compose, an emptyDir of medium Memory at /dev/shm in a pod",
    )


def _run_files(_: CheckContext) -> Iterator[Finding | Skip]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield judge_files(soft, hard)


def judge_files(soft: int, hard: int) -> Finding:
    """Judge how many files a process may have open; -1 for any number.

    :param soft: the limit that counts
    :param hard: what it can be raised to
    """
    unlimited = resource.RLIM_INFINITY
    evidence = f"{_limit(soft)} at once, {_limit(hard)} at most"
    if soft == unlimited or soft >= _MANY_FILES:
        return ok("open files", evidence)
    remedy = f"ulimit -n {_MANY_FILES}, LimitNOFILE= in a systemd unit, ulimits: nofile in Compose"
    if soft < _FEW_FILES:
        return error(
            "open files",
            f"{evidence}: a scheduler or a worker with sixteen tasks takes more, and fails with 'Too many "
            "open files'",
            remedy,
        )
    return note(
        "open files",
        f"{evidence}: enough for a task, little for a triggerer or `aiopt watch` with many connections",
        remedy,
    )


def _limit(number: int) -> str:
    return "any number" if number == resource.RLIM_INFINITY else str(number)


GPU = Check(
    "gpu",
    "the state of the GPUs",
    "uncorrectable memory errors (ECC), rows of memory to be replaced, errors of the driver (Xid) in the "
    "kernel's "
    "log, clocks held down by heat or power, other processes on the GPU, persistence mode off, MIG",
    _run_gpu,
)
CPU = Check(
    "cpu",
    "the container's CPU quota beside the threads",
    "more threads, by `OMP_NUM_THREADS` or its like or by the number of cores, than 1.5 times the quota "
    "allows for: "
    "they are throttled together",
    _run_cpu,
)
SHARED_MEMORY = Check(
    "shared-memory",
    "the size of /dev/shm",
    "less than 256 MiB free where torch is installed: its DataLoader workers die of a bus error there",
    _run_shared_memory,
    limit_s=120.0,
)
OPEN_FILES = Check(
    "open-files",
    "how many files a process may have open",
    "fewer than 1024 (an error) or than 4096 (a note)",
    _run_files,
)
