from __future__ import annotations

import sys

import pytest
from fake_nvml import GIB, FakeGpu, FakeNvml
from kernel_files import PAGE_BYTES, TICKS_PER_S, KernelFiles

from airflow_provider_aiopt.telemetry.hardware import gpu
from airflow_provider_aiopt.telemetry.hardware.gpu import open_gpus
from airflow_provider_aiopt.telemetry.hardware.machine import Machine, open_machine
from airflow_provider_aiopt.telemetry.hardware.reading import MachineFacts


@pytest.fixture
def whole(files: KernelFiles) -> KernelFiles:
    files.process(10, ticks=(TICKS_PER_S, 0, 0, 0), pages=2, disk=(5, 6))
    files.cpu(100, 0, 0, 100, 0, 0, 0, 0, 0, 0)
    files.network({"eth0": (7, 8)})
    files.write("proc/meminfo", "MemTotal: 4 kB\n")
    files.write("proc/self/cgroup", "0::/\n")
    files.write("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    files.write("sys/fs/cgroup/cpu.max", "50000 100000\n")
    files.write("sys/fs/cgroup/cpu.stat", "nr_periods 4\nnr_throttled 1\n")
    return files


def test_all_is_read_at_one_moment(whole: KernelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "DRIVER", (whole.root,))
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml([FakeGpu("H100", used_bytes=GIB)]))
    machine = Machine(root=whole.root, pid=10, gpus=open_gpus("0"), now=lambda: 42.0)
    reading = machine.read()

    assert reading.moment == 42.0
    assert (reading.process.cpu_s, reading.process.memory_bytes) == (1.0, 2 * PAGE_BYTES)
    assert (reading.process.read_bytes, reading.process.write_bytes) == (5, 6)
    assert reading.host.busy_s == 100 / TICKS_PER_S
    assert (reading.network.received_bytes, reading.network.sent_bytes) == (7, 8)
    assert (reading.throttling.periods, reading.throttling.throttled_periods) == (4, 1)
    assert reading.gpu.memory_bytes == GIB
    assert machine.facts == MachineFacts(4096, ("H100",), 80 * GIB)


@pytest.mark.parametrize(("group", "limit"), [("max", 4096), ("1000", 1000), ("5000", 4096)])
def test_the_memory_limit_is_the_least(whole: KernelFiles, group: str, limit: int) -> None:
    whole.write("sys/fs/cgroup/memory.max", f"{group}\n")
    assert Machine(root=whole.root).facts == MachineFacts(limit)


def test_the_limit_is_used_by_all_that_it_holds_for(whole: KernelFiles) -> None:
    whole.write("proc/meminfo", "MemTotal: 4 kB\nMemAvailable: 1 kB\n")
    whole.write("sys/fs/cgroup/memory.current", "500\n")
    assert Machine(root=whole.root).read().memory_limit_used == 0.75
    whole.write("sys/fs/cgroup/memory.max", "1000\n")
    assert Machine(root=whole.root).read().memory_limit_used == 0.5


def test_on_a_system_without_these_files_nothing_is_known(files: KernelFiles) -> None:
    machine = Machine(root=files.root, now=lambda: 0.0)

    assert machine.facts == MachineFacts()
    assert machine.read().process.cpu_s is None


def test_this_machine_opens() -> None:
    machine = open_machine()
    first, second = machine.read(), machine.read()

    assert second.moment >= first.moment
    assert machine.facts.memory_limit_bytes
