"""What this machine lets a pipeline have."""

from __future__ import annotations

import math
from pathlib import Path

from airflow_provider_aiopt.data.parallel import usable_cores
from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.telemetry.hardware.cgroup import ControlGroup
from airflow_provider_aiopt.telemetry.hardware.host import Host
from airflow_provider_aiopt.tuning.space import Machine

_NVIDIA = "dev/nvidiactl"  # the driver makes it where there is a GPU


def this_machine(spec: PipelineSpec, *, root: str = "/") -> Machine:
    """Return the cores, the memory and the kind of device that a pipeline has here.

    Cores are those of the process's affinity, and no more than its control group's CPU quota; memory is the
    control group's limit, or all of the host's.

    :param spec: the pipeline, whose ``model.device`` says what it wants
    :param root: the file system's root
    """
    groups = ControlGroup(root)
    quota = groups.cpu_quota()
    cores = usable_cores() if quota is None else min(usable_cores(), max(1, math.floor(quota)))
    wanted = spec.model.device
    device = wanted in ("cuda", "tensorrt") or (wanted == "auto" and (Path(root) / _NVIDIA).exists())
    return Machine(cores, groups.memory_limit_bytes() or Host(root).memory_bytes(), device)
