"""What the sources of a sample give: counters that only grow, and levels of the moment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """What a process and its descendants have used so far; None for what is not known.

    :param cpu_s: CPU time, user and system, with that of children that have ended
    :param memory_bytes: resident sets now; pages that processes share count for each of them
    :param read_bytes: bytes that came from a disk
    :param write_bytes: bytes that went, or will go, to a disk
    """

    cpu_s: float | None = None
    memory_bytes: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class HostUse:
    """What the whole host has used so far, in seconds of all its cores; None for what is not known.

    :param host_s: all time
    :param busy_s: the part of it that some process ran
    :param steal_s: the part of it that a hypervisor gave to other machines
    """

    host_s: float | None = None
    busy_s: float | None = None
    steal_s: float | None = None


@dataclass(frozen=True, slots=True)
class NetworkUse:
    """Bytes through the network interfaces so far; None for what is not known."""

    received_bytes: int | None = None
    sent_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Throttling:
    """Periods of the cgroup's CPU quota so far; None where there is no quota.

    :param periods: periods in which anything ran
    :param throttled_periods: those in which the quota was used up
    """

    periods: int | None = None
    throttled_periods: int | None = None


@dataclass(frozen=True, slots=True)
class GpuState:
    """The GPUs that the process may use, all taken together; None for what a device does not tell.

    :param utilisation: mean over the devices, 0 to 1
    :param memory_bytes: memory in use, sum over the devices
    :param power_w: power draw, sum over the devices
    :param sm_clock_mhz: clock of the multiprocessors, mean over the devices
    :param throttle_reasons: NVML's bits for why a clock is held down, those of all devices
    """

    utilisation: float | None = None
    memory_bytes: int | None = None
    power_w: float | None = None
    sm_clock_mhz: float | None = None
    throttle_reasons: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything at one moment.

    :param moment: seconds of a monotonic clock
    :param memory_limit_used: share of the memory limit that is in use by all processes that it holds for, 0
        to 1; None where it is not known
    """

    moment: float
    process: ProcessUse = ProcessUse()
    host: HostUse = HostUse()
    network: NetworkUse = NetworkUse()
    throttling: Throttling = Throttling()
    gpu: GpuState = GpuState()
    memory_limit_used: float | None = None


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What does not change while a stage runs.

    :param memory_limit_bytes: memory that the process may have: the least of its cgroups' limits and the
        host's memory; None where neither is known
    :param gpus: names of the GPUs that it may use
    :param gpu_memory_total_bytes: their memory, all taken together; None without a GPU
    """

    memory_limit_bytes: int | None = None
    gpus: tuple[str, ...] = ()
    gpu_memory_total_bytes: int | None = None
