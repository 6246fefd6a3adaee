from __future__ import annotations

import pytest

from airflow_provider_aiopt.telemetry.hardware.points import Share, between, merge
from airflow_provider_aiopt.telemetry.hardware.reading import (
    GpuState,
    HostUse,
    NetworkUse,
    ProcessUse,
    Reading,
    Throttling,
)

EARLIER = Reading(
    10.0,
    ProcessUse(5.0, 100, 1000, 2000),
    HostUse(40.0, 10.0, 1.0),
    NetworkUse(500, 50),
    Throttling(20, 4),
    GpuState(0.5, 8, 100.0, 1000.0, 0x4),
    0.75,
)
LATER = Reading(
    12.0,
    ProcessUse(8.0, 300, 1400, 2000),
    HostUse(48.0, 14.0, 1.5),
    NetworkUse(900, 60),
    Throttling(40, 9),
    GpuState(1.0, 10, 300.0, 2000.0, 0x40),
    0.25,
)


def test_counters_become_rates_and_shares_and_levels_stay() -> None:
    assert {column: share.value for column, share in between(EARLIER, LATER).items()} == {
        "cpu_cores": 1.5,
        "host_cpu": 0.5,
        "cpu_steal": 0.0625,
        "cpu_throttled": 0.25,
        "disk_read_bytes_per_s": 200.0,
        "disk_write_bytes_per_s": 0.0,
        "net_in_bytes_per_s": 200.0,
        "net_out_bytes_per_s": 5.0,
        "memory_bytes": 300.0,
        "memory_limit_used": 0.25,
        "gpu_utilisation": 1.0,
        "gpu_memory_bytes": 10.0,
        "gpu_power_w": 300.0,
        "gpu_sm_clock_mhz": 2000.0,
    }


def test_what_either_reading_does_not_know_is_left_out() -> None:
    assert between(EARLIER, Reading(12.0)) == {}
    assert set(between(Reading(10.0), LATER)) == {
        "memory_bytes",
        "memory_limit_used",
        "gpu_utilisation",
        "gpu_memory_bytes",
        "gpu_power_w",
        "gpu_sm_clock_mhz",
    }


def test_a_counter_that_falls_stands_still() -> None:
    assert between(LATER, EARLIER)["cpu_cores"].amount == 0


def test_a_time_without_a_period_of_the_quota_is_not_throttled() -> None:
    idle = Reading(11.0, throttling=EARLIER.throttling)
    assert between(EARLIER, idle)["cpu_throttled"].value == 0


def test_shares_add_up_by_their_weights() -> None:
    assert (Share(1.0, 1.0) + Share(0.0, 3.0)).value == 0.25


def test_neighbours_merge_to_the_later_counters_and_both_levels() -> None:
    merged = merge(EARLIER, LATER)

    assert merged.moment == 12.0
    assert merged.process == ProcessUse(8.0, 300, 1400, 2000)
    assert (merged.host, merged.network, merged.throttling) == (LATER.host, LATER.network, LATER.throttling)
    assert merged.gpu == GpuState(0.75, 9, 200.0, 1500.0, 0x44)
    assert merged.memory_limit_used == 0.75


@pytest.mark.parametrize("known", [EARLIER.gpu, GpuState()])
def test_what_one_of_them_does_not_know_the_other_says(known: GpuState) -> None:
    first = Reading(1.0, ProcessUse(memory_bytes=5), gpu=known)
    merged = merge(first, Reading(2.0))

    assert merged.gpu == known
    assert merged.process.memory_bytes == 5
