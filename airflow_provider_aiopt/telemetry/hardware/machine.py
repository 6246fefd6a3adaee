"""All sources of a sample together."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from airflow_provider_aiopt.telemetry.hardware.cgroup import ControlGroup
from airflow_provider_aiopt.telemetry.hardware.gpu import Gpus, open_gpus
from airflow_provider_aiopt.telemetry.hardware.host import Host
from airflow_provider_aiopt.telemetry.hardware.processes import ProcessTree
from airflow_provider_aiopt.telemetry.hardware.reading import GpuState, MachineFacts, Reading


class Meter(Protocol):
    """What a sampler reads."""

    facts: MachineFacts

    def read(self) -> Reading:
        """Return everything as it is now."""
        ...


class Machine:
    """Reads the process tree, its control group, the host and its GPUs.

    :param root: the file system's root
    :param pid: the process; default this one
    :param gpus: the GPUs, None for none
    :param now: a monotonic clock in seconds
    """

    def __init__(
        self,
        *,
        root: str = "/",
        pid: int | None = None,
        gpus: Gpus | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._processes = ProcessTree(root, pid)
        self._host = Host(root)
        self._group = ControlGroup(root)
        self._gpus = gpus
        of_group, of_host = self._group.memory_limit_bytes(), self._host.memory_bytes()
        self._limited_by_group = of_group is not None and (of_host is None or of_group <= of_host)
        self.facts = MachineFacts(
            memory_limit_bytes=of_group if self._limited_by_group else of_host,
            gpus=gpus.names if gpus else (),
            gpu_memory_total_bytes=gpus.memory_total_bytes if gpus else None,
        )

    def read(self) -> Reading:
        """Return everything as it is now."""
        return Reading(
            moment=self._now(),
            process=self._processes.read(),
            host=self._host.read_cpu(),
            network=self._host.read_network(),
            throttling=self._group.read_throttling(),
            gpu=self._gpus.read() if self._gpus else GpuState(),
            memory_limit_used=self._memory_limit_used(),
        )

    def _memory_limit_used(self) -> float | None:
        limit = self.facts.memory_limit_bytes
        used = (self._group if self._limited_by_group else self._host).memory_used_bytes()
        return used / limit if used is not None and limit else None


def open_machine() -> Machine:
    """Return this machine with the GPUs that the process may use."""
    return Machine(gpus=open_gpus())
