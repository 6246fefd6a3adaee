from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.tuning import machine as module
from airflow_provider_aiopt.tuning.machine import this_machine


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1)])
def test_cores_are_those_of_the_affinity_within_the_quota(
    make_spec: Callable[..., PipelineSpec],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    quota: str,
    cores: int,
) -> None:
    monkeypatch.setattr(module, "usable_cores", lambda: 8)
    for name, content in {
        "proc/self/cgroup": "0::/pod\n",
        "proc/self/mountinfo": "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        "proc/meminfo": "MemTotal:       1000 kB\n",
        "sys/fs/cgroup/pod/cpu.max": f"{quota}\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    found = this_machine(make_spec(), root=str(tmp_path))
    assert (found.cores, found.memory_bytes, found.device) == (cores, 1_024_000, False)
    (tmp_path / "sys/fs/cgroup/pod/memory.max").write_text("4096\n")
    assert this_machine(make_spec(), root=str(tmp_path)).memory_bytes == 4096


@pytest.mark.parametrize(
    ("device", "driver", "found"),
    [("auto", False, False), ("auto", True, True), ("cpu", True, False), ("cuda", False, True)],
)
def test_whether_there_is_a_gpu(
    make_spec: Callable[..., PipelineSpec], tmp_path: Path, device: str, driver: bool, found: bool
) -> None:
    if driver:
        (tmp_path / "dev").mkdir()
        (tmp_path / "dev" / "nvidiactl").touch()
    assert this_machine(make_spec(model__device=device), root=str(tmp_path)).device is found
