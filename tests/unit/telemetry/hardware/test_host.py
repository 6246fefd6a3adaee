from __future__ import annotations

import pytest
from kernel_files import TICKS_PER_S, KernelFiles

from airflow_provider_aiopt.telemetry.hardware.host import Host
from airflow_provider_aiopt.telemetry.hardware.reading import HostUse, NetworkUse


def test_neither_idling_nor_stolen_time_is_busy_and_guests_count_once(files: KernelFiles) -> None:
    files.cpu(100, 20, 30, 500, 50, 5, 15, 80, 70, 7)

    assert Host(files.root).read_cpu() == HostUse(
        host_s=pytest.approx(800 / TICKS_PER_S),
        busy_s=pytest.approx(170 / TICKS_PER_S),
        steal_s=pytest.approx(80 / TICKS_PER_S),
    )


def test_of_the_network_the_devices_count(files: KernelFiles) -> None:
    """What a container sends goes through its bridge and through the device."""
    traffic = {
        "lo": (9000, 9000),
        "eth0": (100, 10),
        "eth1": (1, 2),
        "docker0": (100, 10),
        "veth1": (100, 10),
    }
    files.network(traffic, devices=("eth0", "eth1"))

    assert Host(files.root).read_network() == NetworkUse(received_bytes=101, sent_bytes=12)


def test_where_none_is_a_device_all_count_but_the_loopback(files: KernelFiles) -> None:
    files.network({"lo": (9000, 9000), "eth0": (100, 10)})

    assert Host(files.root).read_network() == NetworkUse(received_bytes=100, sent_bytes=10)


def test_the_hosts_memory(files: KernelFiles) -> None:
    files.write("proc/meminfo", "MemTotal:        8149000 kB\nMemFree:         1000 kB\n")

    assert Host(files.root).memory_bytes() == 8149000 * 1024
    assert Host(files.root).memory_used_bytes() is None


def test_memory_that_a_new_process_could_have_is_not_used(files: KernelFiles) -> None:
    files.write("proc/meminfo", "MemTotal: 100 kB\nMemFree: 10 kB\nMemAvailable: 60 kB\n")

    assert Host(files.root).memory_used_bytes() == 40 * 1024


def test_without_proc_nothing_is_known(files: KernelFiles) -> None:
    host = Host(files.root)

    assert (host.read_cpu(), host.read_network(), host.memory_bytes()) == (HostUse(), NetworkUse(), None)


def test_this_hosts_files_are_understood() -> None:
    host = Host()
    cpu, network = host.read_cpu(), host.read_network()

    assert cpu.host_s is not None
    assert cpu.busy_s is not None
    assert 0 < cpu.busy_s < cpu.host_s
    assert network.received_bytes is not None
    assert (host.memory_bytes() or 0) > 64 * 1024 * 1024
