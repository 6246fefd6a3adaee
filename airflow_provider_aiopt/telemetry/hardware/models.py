"""What a stage's report says of the hardware."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Level(_Model):
    """How much of something was used.

    :param mean: over the stage
    :param max: of one sample
    """

    mean: float
    max: float


class HardwareSeries(_Model):
    """How the hardware was used over time: columns of equal length, empty where nothing is known.

    Value *n* is that of the time that ends at ``offsets_s[n]``: rates and shares are exact over it, GPU
    columns means of its samples, memory the largest sample.

    :param offsets_s: seconds since the first sample, ascending
    :param cpu_cores: as in :class:`HardwareUse`, and so on
    :param gpu_throttle_reasons: NVML's bits for why the clocks were held down, see
        :data:`~airflow_provider_aiopt.telemetry.hardware.gpu.THROTTLE_REASONS`; 0 for none
    """

    offsets_s: tuple[float, ...]
    cpu_cores: tuple[float | None, ...] = ()
    host_cpu: tuple[float | None, ...] = ()
    cpu_steal: tuple[float | None, ...] = ()
    cpu_throttled: tuple[float | None, ...] = ()
    memory_bytes: tuple[float | None, ...] = ()
    memory_limit_used: tuple[float | None, ...] = ()
    disk_read_bytes_per_s: tuple[float | None, ...] = ()
    disk_write_bytes_per_s: tuple[float | None, ...] = ()
    net_in_bytes_per_s: tuple[float | None, ...] = ()
    net_out_bytes_per_s: tuple[float | None, ...] = ()
    gpu_utilisation: tuple[float | None, ...] = ()
    gpu_memory_bytes: tuple[float | None, ...] = ()
    gpu_power_w: tuple[float | None, ...] = ()
    gpu_sm_clock_mhz: tuple[float | None, ...] = ()
    gpu_throttle_reasons: tuple[int | None, ...] = ()


class HardwareUse(_Model):
    """How the hardware was used while a stage ran; None for what is not known.

    The process tree is the process with its descendants: what other stages do at the same time in the same
    process is not told apart.

    :param interval_s: seconds between two points of the series
    :param samples: how many samples were taken
    :param cpu_cores: CPU time of the process tree per second: how many cores it kept busy
    :param host_cpu: share of the host's CPU time in which some process ran, 0 to 1
    :param cpu_steal: share of it that the hypervisor gave to other machines, 0 to 1
    :param cpu_throttled: share of the periods in which the cgroup's CPU quota was used up, 0 to 1; None
        without a quota
    :param memory_bytes: resident sets of the process tree; pages that processes share count for each of them
    :param memory_limit_bytes: memory that it may have: the least of its cgroups' limits and the host's memory
    :param memory_limit_used: share of it that was in use by all processes that the limit holds for, without
        what the kernel can drop, 0 to 1
    :param disk_read_bytes_per_s: what the process tree read from disks; from the page cache is not counted
    :param disk_write_bytes_per_s: what it wrote that went, or will go, to disks
    :param net_in_bytes_per_s: what the host, or in a container its network namespace, received
    :param net_out_bytes_per_s: what it sent
    :param gpus: names of the GPUs that the process may use
    :param gpu_utilisation: share of the time in which a kernel ran, mean over these GPUs, 0 to 1
    :param gpu_memory_bytes: their memory in use, by whichever process
    :param gpu_memory_total_bytes: their memory
    :param gpu_power_w: their power draw, watts
    :param gpu_sm_clock_mhz: clock of their multiprocessors, mean over the GPUs
    :param gpu_throttled: share of the time in which a clock was held down, by reason, 0 to 1; reasons that
        never held are left out
    :param series: the same over time, at most 120 points; None where it was left out: in XComs, and but for
        the first of the stages that ran side by side in one process
    """

    interval_s: float = Field(gt=0)
    samples: int = Field(ge=2)
    cpu_cores: Level | None = None
    host_cpu: Level | None = None
    cpu_steal: Level | None = None
    cpu_throttled: Level | None = None
    memory_bytes: Level | None = None
    memory_limit_bytes: int | None = None
    memory_limit_used: Level | None = None
    disk_read_bytes_per_s: Level | None = None
    disk_write_bytes_per_s: Level | None = None
    net_in_bytes_per_s: Level | None = None
    net_out_bytes_per_s: Level | None = None
    gpus: tuple[str, ...] = ()
    gpu_utilisation: Level | None = None
    gpu_memory_bytes: Level | None = None
    gpu_memory_total_bytes: int | None = None
    gpu_power_w: Level | None = None
    gpu_sm_clock_mhz: Level | None = None
    gpu_throttled: dict[str, float] | None = None
    series: HardwareSeries | None = None

    def without_series(self) -> Self:
        """Return the levels alone."""
        return self.model_copy(update={"series": None})
