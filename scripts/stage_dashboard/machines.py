"""The panels about the machines that stages run on."""

from __future__ import annotations

from airflow_provider_aiopt.telemetry import catalogue
from stage_dashboard.panels import RED, YELLOW, Panel, Query, curves, dial
from stage_dashboard.queries import series

OF_A_TASK = "{{dag_id}} / {{task_id}} / {{stage}}"
"""The name of a curve that each task has for itself."""

_LAST = "of the last attempt"
_NEARLY_FULL = ((0.8, YELLOW), (0.9, RED))


def dials() -> tuple[Panel, ...]:
    """Return how full the machines were, one dial for each resource."""
    used, size = series(catalogue.STAGE_GPU_MEMORY), series(catalogue.STAGE_GPU_MEMORY_SIZE)
    return (
        dial(
            "Host CPU now",
            "CPU time of the hosts in which some process ran: the largest among the tasks' last attempts.",
            f"max({series(catalogue.STAGE_HOST_CPU)})",
        ),
        dial(
            "Memory limit now",
            "Share of the memory limit in use, by all that it holds for: the largest among the tasks' last "
            "attempts. At 100 % the kernel kills.",
            f"max({series(catalogue.STAGE_MEMORY_LIMIT_USED)})",
            steps=_NEARLY_FULL,
        ),
        dial(
            "GPU now",
            "Utilisation of the GPUs: the mean over the tasks' last attempts. Empty where none was used.",
            f"avg({series(catalogue.STAGE_GPU_UTILISATION)})",
        ),
        dial(
            "GPU memory now",
            "Share of the GPUs' memory in use: largest of the tasks' last attempts. Empty without GPU.",
            f"max({used} / {size})",
            steps=_NEARLY_FULL,
        ),
    )


def processors_and_memory() -> tuple[Panel, ...]:
    """Return what stages took of CPU and memory, over time."""
    return (
        curves(
            "CPU",
            f"CPU time {_LAST} over its duration times the cores: 100 % is all of them.",
            "percentunit",
            Query(series(catalogue.STAGE_CPU_UTILISATION), OF_A_TASK),
            largest=1,
        ),
        curves(
            "CPU cores busy",
            f"Cores that the process tree {_LAST} kept busy, in the mean.",
            "short",
            Query(series(catalogue.STAGE_CPU_CORES), OF_A_TASK),
        ),
        curves(
            "Memory",
            f"Largest resident set {_LAST}: of the process, of it with its descendants, and the least limit.",
            "bytes",
            Query(series(catalogue.STAGE_PEAK_MEMORY), f"{OF_A_TASK} process"),
            Query(series(catalogue.STAGE_MEMORY), f"{OF_A_TASK} tree"),
            Query(f"min by (dag_id) ({series(catalogue.STAGE_MEMORY_LIMIT)})", "{{dag_id}} limit"),
        ),
    )


def hosts() -> tuple[Panel, ...]:
    """Return what the hosts did meanwhile, over time."""
    return (
        curves(
            "CPU of the host",
            "Share of the host's CPU time during the last attempt in which some process ran, that which the "
            "hypervisor gave to other machines, and that of the periods in which the CPU quota was used up.",
            "percentunit",
            Query(f"max by (dag_id) ({series(catalogue.STAGE_HOST_CPU)})", "{{dag_id}} busy"),
            Query(f"max by (dag_id) ({series(catalogue.STAGE_CPU_STEAL)})", "{{dag_id}} stolen"),
            Query(f"max by (dag_id) ({series(catalogue.STAGE_CPU_THROTTLED)})", "{{dag_id}} throttled"),
            largest=1,
        ),
        curves(
            "Disk",
            f"Bytes per second that the process tree {_LAST} read from disks and wrote to them.",
            "Bps",
            Query(series(catalogue.STAGE_DISK_READ), f"{OF_A_TASK} read"),
            Query(series(catalogue.STAGE_DISK_WRITE), f"{OF_A_TASK} written"),
        ),
        curves(
            "Network",
            "Bytes per second through the host's, or the container's, network during the last attempt.",
            "Bps",
            Query(series(catalogue.STAGE_NET_IN), f"{OF_A_TASK} in"),
            Query(series(catalogue.STAGE_NET_OUT), f"{OF_A_TASK} out"),
        ),
    )


def gpus() -> tuple[Panel, ...]:
    """Return what the GPUs did, over time."""
    return (
        curves(
            "GPU",
            f"Mean utilisation of the GPUs {_LAST}, and the share of it in which heat or want of power held "
            "their clocks down. Empty where none was used.",
            "percentunit",
            Query(series(catalogue.STAGE_GPU_UTILISATION), f"{OF_A_TASK} utilisation"),
            Query(series(catalogue.STAGE_GPU_THROTTLED), f"{OF_A_TASK} slowed down"),
            largest=1,
        ),
        curves(
            "GPU memory",
            f"Largest memory in use on the GPUs {_LAST}, by whichever process, and their memory.",
            "bytes",
            Query(series(catalogue.STAGE_GPU_MEMORY), OF_A_TASK),
            Query(f"max by (dag_id) ({series(catalogue.STAGE_GPU_MEMORY_SIZE)})", "{{dag_id}} size"),
        ),
        curves(
            "GPU power",
            f"Power draw of the GPUs {_LAST}, in the mean.",
            "watt",
            Query(series(catalogue.STAGE_GPU_POWER), OF_A_TASK),
        ),
        curves(
            "GPU clock",
            f"Clock of the GPUs' multiprocessors {_LAST}, in the mean.",
            "hertz",
            Query(series(catalogue.STAGE_GPU_CLOCK), OF_A_TASK),
        ),
    )
