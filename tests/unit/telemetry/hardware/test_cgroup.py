from __future__ import annotations

import pytest
from kernel_files import KernelFiles

from airflow_provider_aiopt.telemetry.hardware.cgroup import ControlGroup
from airflow_provider_aiopt.telemetry.hardware.reading import Throttling

STATISTICS = (
    "usage_usec 5000\nuser_usec 4000\nsystem_usec 1000\nnr_periods 40\nnr_throttled 10\nthrottled_usec 900\n"
)


def unified(files: KernelFiles, group: str, top: str = "/") -> None:
    files.write("proc/self/cgroup", f"0::{group}\n")
    files.write(
        "proc/self/mountinfo",
        "22 1 0:20 / /proc rw,nosuid - proc proc rw\n"
        f"31 23 0:28 {top} /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
    )


def separate(files: KernelFiles, *, memory: str, cpu: str) -> None:
    files.write(
        "proc/self/cgroup", f"9:name=systemd:/\n4:memory:{memory}\n3:cpuset:/\n1:cpu,cpuacct:{cpu}\n0::/\n"
    )
    mounts = [
        ("memory", "memory"),
        ("cpuset", "cpuset"),
        ("cpu,cpuacct", "cpu,cpuacct"),
        ("systemd", "name=systemd"),
    ]
    files.write(
        "proc/self/mountinfo",
        "".join(
            f"3{n} 31 0:3{n} / /sys/fs/cgroup/{folder} rw - cgroup cgroup rw,{options}\n"
            for n, (folder, options) in enumerate(mounts)
        )
        + "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
    )


class TestUnified:
    @pytest.mark.parametrize(
        ("own", "parent", "cores"),
        [
            ("max 100000", "max 100000", None),
            ("150000 100000", "max 100000", 1.5),
            ("max 100000", "50000 100000", 0.5),
            ("400000 100000", "200000 100000", 2.0),
        ],
    )
    def test_the_least_cpu_quota_counts(
        self, files: KernelFiles, own: str, parent: str, cores: float | None
    ) -> None:
        unified(files, "/pods/own")
        files.write("sys/fs/cgroup/pods/own/cpu.max", f"{own}\n")
        files.write("sys/fs/cgroup/pods/cpu.max", f"{parent}\n")
        assert ControlGroup(files.root).cpu_quota_cores() == cores

    @pytest.mark.parametrize(
        ("own", "parent", "limit"),
        [("max", "max", None), ("1000", "max", 1000), ("max", "2000", 2000), ("3000", "2000", 2000)],
    )
    def test_the_least_memory_limit_counts(
        self, files: KernelFiles, own: str, parent: str, limit: int | None
    ) -> None:
        unified(files, "/pods/worker")
        files.write("sys/fs/cgroup/pods/worker/memory.max", f"{own}\n")
        files.write("sys/fs/cgroup/pods/memory.max", f"{parent}\n")

        assert ControlGroup(files.root).memory_limit_bytes() == limit

    def test_the_nearest_quota_throttles(self, files: KernelFiles) -> None:
        unified(files, "/pods/worker")
        files.write("sys/fs/cgroup/pods/worker/cpu.max", "max 100000\n")
        files.write("sys/fs/cgroup/pods/worker/cpu.stat", STATISTICS.replace("40", "1"))
        files.write("sys/fs/cgroup/pods/cpu.max", "50000 100000\n")
        files.write("sys/fs/cgroup/pods/cpu.stat", STATISTICS)

        assert ControlGroup(files.root).read_throttling() == Throttling(periods=40, throttled_periods=10)

    def test_the_least_quota_says_how_many_cores_there_are(self, files: KernelFiles) -> None:
        unified(files, "/pods/worker")
        files.write("sys/fs/cgroup/pods/worker/cpu.max", "max 100000\n")
        assert ControlGroup(files.root).cpu_quota() is None
        files.write("sys/fs/cgroup/pods/cpu.max", "150000 100000\n")
        assert ControlGroup(files.root).cpu_quota() == 1.5
        files.write("sys/fs/cgroup/pods/worker/cpu.max", "400000 100000\n")
        assert ControlGroup(files.root).cpu_quota() == 1.5

    def test_without_a_quota_nothing_throttles(self, files: KernelFiles) -> None:
        unified(files, "/pods")
        files.write("sys/fs/cgroup/pods/cpu.max", "max 100000\n")
        files.write("sys/fs/cgroup/pods/cpu.stat", STATISTICS)

        assert ControlGroup(files.root).read_throttling() == Throttling()

    @pytest.mark.parametrize("group", ["/", "/../../elsewhere"])
    def test_in_a_namespace_the_mount_is_the_group(self, files: KernelFiles, group: str) -> None:
        unified(files, group, top="/docker/abc")
        files.write("sys/fs/cgroup/memory.max", "4096\n")

        assert ControlGroup(files.root).memory_limit_bytes() == 4096

    def test_a_mount_below_the_root(self, files: KernelFiles) -> None:
        unified(files, "/docker/abc/worker", top="/docker/abc")
        files.write("sys/fs/cgroup/worker/memory.max", "4096\n")

        assert ControlGroup(files.root).memory_limit_bytes() == 4096

    def test_what_counts_against_the_limit_is_that_of_its_group(self, files: KernelFiles) -> None:
        unified(files, "/pods/worker")
        files.write("sys/fs/cgroup/pods/worker/memory.max", "max\n")
        files.write("sys/fs/cgroup/pods/worker/memory.current", "10\n")
        files.write("sys/fs/cgroup/pods/memory.max", "2000\n")
        files.write("sys/fs/cgroup/pods/memory.current", "900\n")
        files.write("sys/fs/cgroup/pods/memory.stat", "anon 500\ninactive_file 300\nactive_file 100\n")

        assert ControlGroup(files.root).memory_used_bytes() == 600

    def test_without_statistics_all_of_it_counts(self, files: KernelFiles) -> None:
        unified(files, "/pods")
        files.write("sys/fs/cgroup/pods/memory.max", "2000\n")
        files.write("sys/fs/cgroup/pods/memory.current", "900\n")

        assert ControlGroup(files.root).memory_used_bytes() == 900


class TestSeparate:
    def test_what_counts_against_the_limit_includes_the_groups_below(self, files: KernelFiles) -> None:
        separate(files, memory="/process", cpu="/")
        files.write("sys/fs/cgroup/memory/process/memory.limit_in_bytes", "5000\n")
        files.write("sys/fs/cgroup/memory/process/memory.usage_in_bytes", "3000\n")
        files.write("sys/fs/cgroup/memory/process/memory.stat", "inactive_file 10\ntotal_inactive_file 700\n")

        assert ControlGroup(files.root).memory_used_bytes() == 2300

    def test_a_quota_is_that_of_its_period(self, files: KernelFiles) -> None:
        separate(files, memory="/", cpu="/quota")
        files.write("sys/fs/cgroup/cpu,cpuacct/quota/cpu.cfs_quota_us", "-1\n")
        files.write("sys/fs/cgroup/cpu,cpuacct/quota/cpu.cfs_period_us", "50000\n")
        assert ControlGroup(files.root).cpu_quota() is None
        files.write("sys/fs/cgroup/cpu,cpuacct/quota/cpu.cfs_quota_us", "100000\n")
        assert ControlGroup(files.root).cpu_quota() == 2.0

    def test_limit_and_quota_are_those_of_their_controllers(self, files: KernelFiles) -> None:
        separate(files, memory="/process/5b5b", cpu="/quota")
        files.write("sys/fs/cgroup/memory/process/5b5b/memory.limit_in_bytes", "5000\n")
        files.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
        files.write("sys/fs/cgroup/cpu,cpuacct/quota/cpu.cfs_quota_us", "50000\n")
        files.write(
            "sys/fs/cgroup/cpu,cpuacct/quota/cpu.stat", "nr_periods 8\nnr_throttled 2\nthrottled_time 99\n"
        )
        files.write("sys/fs/cgroup/cpu,cpuacct/quota/cpu.cfs_period_us", "100000\n")
        group = ControlGroup(files.root)

        assert group.cpu_quota_cores() == 0.5
        assert group.memory_limit_bytes() == 5000
        assert group.read_throttling() == Throttling(periods=8, throttled_periods=2)

    def test_the_kernels_ways_to_say_that_there_is_no_limit(self, files: KernelFiles) -> None:
        separate(files, memory="/", cpu="/")
        files.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
        files.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
        files.write("sys/fs/cgroup/cpu,cpuacct/cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n")
        group = ControlGroup(files.root)

        files.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
        assert group.cpu_quota_cores() is None
        assert group.memory_limit_bytes() is None
        assert group.read_throttling() == Throttling()


@pytest.mark.parametrize("mounted", [True, False])
def test_without_control_groups_nothing_is_known(files: KernelFiles, mounted: bool) -> None:
    if mounted:
        files.write("proc/self/cgroup", "0::/\n")
        files.write("proc/self/mountinfo", "22 1 0:20 / /proc rw,nosuid - proc proc rw\n")
    group = ControlGroup(files.root)

    assert (group.memory_limit_bytes(), group.read_throttling()) == (None, Throttling())
    assert group.memory_used_bytes() is None


def test_this_machines_files_are_understood() -> None:
    group = ControlGroup()

    assert (group.memory_limit_bytes() or 1) > 0
    assert (group.read_throttling().periods or 0) >= 0
