from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.telemetry.hardware.models import HardwareUse, Level
from airflow_provider_aiopt.telemetry.hardware.points import LEVELS, RATES
from airflow_provider_aiopt.telemetry.hardware.reading import (
    GpuState,
    HostUse,
    MachineFacts,
    NetworkUse,
    ProcessUse,
    Reading,
    Throttling,
)
from airflow_provider_aiopt.telemetry.hardware.series import MAX_POINTS, Series

FACTS = MachineFacts(8192, ("H100",), 80)


def reading(
    moment: float, cpu_s: float = 0.0, memory: int = 0, gpu: float = 0.0, reasons: int = 0
) -> Reading:
    return Reading(
        moment, ProcessUse(cpu_s=cpu_s, memory_bytes=memory), gpu=GpuState(gpu, throttle_reasons=reasons)
    )


def use_of(*readings: Reading, interval_s: float = 1.0, max_points: int = MAX_POINTS) -> HardwareUse:
    series = Series(interval_s, max_points)
    for item in readings[:-1]:
        series.add(item)
    series.finish(readings[-1])
    use = series.use(FACTS)
    assert use is not None
    return use


def test_a_point_is_what_happened_since_the_one_before() -> None:
    use = use_of(reading(100, 7.0, 10), reading(101, 7.5, 30), reading(102, 9.5, 20))

    assert use.series is not None
    assert use.series.offsets_s == (1.0, 2.0)
    assert use.series.cpu_cores == (0.5, 2.0)
    assert use.series.memory_bytes == (30, 20)
    assert use.cpu_cores == Level(mean=1.25, max=2.0)
    assert use.memory_bytes == Level(mean=25, max=30)
    assert (use.interval_s, use.samples) == (1.0, 3)


def test_facts_go_into_the_account() -> None:
    use = use_of(reading(0), reading(1))

    assert (use.memory_limit_bytes, use.gpus, use.gpu_memory_total_bytes) == (8192, ("H100",), 80)


def test_what_was_never_known_has_neither_level_nor_column() -> None:
    use = use_of(Reading(0), Reading(1))

    assert (use.cpu_cores, use.gpu_utilisation, use.gpu_throttled) == (None, None, None)
    assert use.series is not None
    assert (use.series.cpu_cores, use.series.gpu_throttle_reasons, use.series.offsets_s) == ((), (), (1.0,))


def test_what_was_not_known_for_a_while_has_a_gap() -> None:
    use = use_of(reading(0, gpu=0.5), Reading(1), reading(2, gpu=1.0))

    assert use.series is not None
    assert use.series.gpu_utilisation == (None, 1.0)
    assert use.gpu_utilisation == Level(mean=1.0, max=1.0)


def test_throttling_is_told_by_reason_and_share_of_the_time() -> None:
    use = use_of(reading(0), reading(1, reasons=0x44), reading(2, reasons=0x4), reading(4, reasons=0))

    assert use.gpu_throttled == {"sw_power_cap": 0.5, "hw_thermal_slowdown": 0.25}
    assert use.series is not None
    assert use.series.gpu_throttle_reasons == (0x44, 0x4, 0)


@pytest.mark.parametrize(
    "readings", [[], [reading(0)], [reading(0), reading(0.09, 0.05)]], ids=["none", "one", "short"]
)
def test_a_stage_too_short_has_no_account(readings: list[Reading]) -> None:
    series = Series(1.0)
    for item in readings:
        series.finish(item)
    assert series.use(FACTS) is None


def test_a_last_sample_that_comes_soon_lengthens_the_point_before_it() -> None:
    use = use_of(reading(0), reading(1, 1.0, 10), reading(1.1, 1.4, 50))

    assert use.series is not None
    assert use.series.offsets_s == (1.1,)
    assert use.series.cpu_cores == (pytest.approx(1.2727, rel=1e-4),)
    assert use.series.memory_bytes == (50,)
    assert use.cpu_cores is not None
    assert use.cpu_cores.max == pytest.approx(1.2727, rel=1e-4), "not 4, the burst within 0.1 s"
    assert use.memory_bytes is not None
    assert use.memory_bytes.max == 50
    assert use.samples == 3


def test_a_full_series_halves_and_its_interval_doubles() -> None:
    series = Series(1.0, 4)
    for n in range(8):
        series.add(reading(n, cpu_s=n, memory=n, reasons=0x4 if n == 2 else 0))
    use = series.use(FACTS)

    assert use is not None
    assert use.interval_s == 4.0
    assert use.series is not None
    assert use.series.offsets_s == (4.0, 6.0, 7.0)
    assert use.series.cpu_cores == (1.0, 1.0, 1.0)
    assert use.series.memory_bytes == (4, 6, 7)
    assert use.series.gpu_throttle_reasons == (0x4, 0, 0)


@given(
    st.lists(st.tuples(st.floats(0, 4), st.integers(0, 10**6), st.floats(0, 1)), min_size=1, max_size=400),
    st.sampled_from([4, 10, 120]),
)
def test_halving_changes_no_level(steps: list[tuple[float, int, float]], max_points: int) -> None:
    cpu_s, readings = 0.0, [reading(0)]
    for n, (cores, memory, gpu) in enumerate(steps, start=1):
        cpu_s += cores
        readings.append(reading(n, cpu_s, memory, gpu))
    use = use_of(*readings, max_points=max_points)
    cores, memory, gpu = zip(*steps, strict=True)

    assert use.cpu_cores is not None
    assert use.memory_bytes is not None
    assert use.gpu_utilisation is not None
    close = {"rel": 1e-3, "abs": 1e-6}
    assert use.cpu_cores.mean == pytest.approx(sum(cores) / len(steps), **close)
    assert use.cpu_cores.max == pytest.approx(max(cores), **close)
    assert (use.memory_bytes.max, use.memory_bytes.mean) == (
        pytest.approx(max(memory), **close),
        pytest.approx(sum(memory) / len(steps), **close),
    )
    assert use.gpu_utilisation.max == pytest.approx(max(gpu), **close)
    assert use.series is not None
    assert len(use.series.offsets_s) <= max_points
    assert list(use.series.offsets_s) == sorted(set(use.series.offsets_s))
    assert use.series.offsets_s[-1] == len(steps)
    assert max(use.series.memory_bytes) == pytest.approx(max(memory), **close)  # type: ignore[type-var]


def test_every_column_fits_the_models_and_the_longest_series_is_small() -> None:
    readings = [
        Reading(
            n,
            ProcessUse(n * 1.234567, 10**9 + n, n * 12345678, n * 87654321),
            HostUse(n * 8.0, n * 3.3333, n * 0.1111),
            NetworkUse(n * 1234567, n * 7654321),
            Throttling(n * 10, n),
            GpuState(n / 200, 2**36 + n, 345.678, 1983.3333, 0x4),
            n / 777,
        )
        for n in range(MAX_POINTS)
    ]
    use = use_of(*readings)

    assert use.series is not None
    for column in (*RATES, *LEVELS):
        assert getattr(use, column) is not None
        assert len(getattr(use.series, column)) == len(use.series.offsets_s) == MAX_POINTS - 1
    assert len(json.dumps(use.model_dump(mode="json"), indent=2)) < 60_000
    assert len(use.without_series().model_dump_json()) < 1_100
    assert HardwareUse.model_validate_json(use.model_dump_json()) == use
