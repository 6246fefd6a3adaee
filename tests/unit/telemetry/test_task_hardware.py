from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from airflow_provider_aiopt.telemetry.hardware.models import HardwareSeries, HardwareUse
from airflow_provider_aiopt.telemetry.reports import STAGES, StageReport
from airflow_provider_aiopt.telemetry.task_hardware import (
    COLUMNS,
    MAX_BYTES,
    MAX_POINTS,
    TaskHardware,
    task_hardware,
)
from airflow_provider_aiopt.telemetry.testing import EPOCH, make_stage_report, make_task


def report(stage: str = "inference", **columns: Any) -> StageReport:
    """A report of the second attempt, with a series of these columns, a second apart by default."""
    points = len(next(iter(columns.values())))
    times = {"offsets_s": tuple(float(second) for second in range(1, points + 1))}
    use = HardwareUse(
        interval_s=1, samples=points + 1, memory_limit_bytes=2**30, series=HardwareSeries(**(times | columns))
    )
    return make_stage_report(stage, hardware=use, task=make_task(try_number=2))


def condensed(stage: str = "inference", **columns: Any) -> TaskHardware:
    found = task_hardware([report(stage, **columns)])
    assert found is not None
    return found


def test_a_short_series_stays_as_it_is() -> None:
    found = condensed(cpu_cores=(1.0, 1.5), memory_bytes=(100.0, 200.0))
    assert found == TaskHardware(
        stages=("inference",),
        try_number=2,
        began_at=EPOCH,
        offsets_s=(1, 2),
        cpu_cores=(1, 1.5),
        memory_bytes=(100, 200),
        memory_limit_bytes=2**30,
    )
    assert TaskHardware.model_validate(json.loads(json.dumps(found.dump()))) == found


def test_neighbours_are_joined_until_few_enough_are_left() -> None:
    found = condensed(cpu_cores=tuple(float(n % 4) for n in range(120)))
    assert len(found.offsets_s) == MAX_POINTS
    assert found.offsets_s[:2] == (2, 4)
    assert found.cpu_cores[:2] == (0.5, 2.5)


def test_a_mean_is_over_the_time_and_a_peak_of_memory_stays() -> None:
    ends = [3.0 * n for n in range(1, 119)]
    found = condensed(
        offsets_s=(*ends, ends[-1] + 1),
        cpu_cores=(2.0, 4.0, *[1.0] * 116, 5.0),
        memory_bytes=(7.0, 9.0, *[1.0] * 117),
    )
    assert len(found.offsets_s) == MAX_POINTS
    assert found.offsets_s[-1] == ends[-1] + 1
    assert (found.cpu_cores[0], found.memory_bytes[0]) == (3, 9)
    assert found.cpu_cores[-1] == 5  # the odd one has no neighbour


def test_what_is_used_is_the_same_before_and_after() -> None:
    values = tuple(float(7 * n % 5) for n in range(117))
    ends = tuple(accumulate(0.5 + n % 3 for n in range(117)))
    found = condensed(host_cpu=values, offsets_s=ends)

    def total(ends: Sequence[float], values: Any) -> float:
        steps = pairwise((0.0, *ends))
        return sum((end - begin) * value for (begin, end), value in zip(steps, values, strict=True))

    assert total(found.offsets_s, found.host_cpu) == pytest.approx(total(ends, values), rel=0.01)


def test_unknown_values_do_not_count_as_none_used() -> None:
    found = condensed(gpu_utilisation=(None, 0.5, None, None, *[0.25] * 116))
    assert found.gpu_utilisation[:3] == (0.5, None, 0.25)


@pytest.mark.parametrize("points", [2, 60, 61, 119, 120])
def test_it_fits_into_an_xcom_with_all_columns(points: int) -> None:
    long = tuple(123_456_789_012.345 + n / 7 for n in range(points))
    found = condensed(
        offsets_s=tuple(86_400.123 * n for n in range(1, points + 1)), **dict.fromkeys(COLUMNS, long)
    )
    assert len(json.dumps(found.dump())) < MAX_BYTES
    assert len(found.offsets_s) <= MAX_POINTS


def test_without_a_series_there_is_none() -> None:
    assert task_hardware([]) is None
    assert task_hardware([make_stage_report()]) is None
    assert task_hardware([report(cpu_cores=(1.0,))]) is None  # the report's level says as much
    levels = HardwareUse(interval_s=1, samples=2)
    assert task_hardware([make_stage_report(hardware=levels)]) is None


def test_of_several_stages_the_first_series_is_that_of_all() -> None:
    others = [make_stage_report(stage) for stage in STAGES[1:]]
    found = task_hardware([report("ingest", cpu_cores=(1.0, 2.0)), *others])
    assert found is not None
    assert found.stages == STAGES


GOOD = {"stages": ["a"], "began_at": "2026-01-01T00:00:00Z", "offsets_s": [1, 2], "cpu_cores": [1, None]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"offsets_s": []},
        {"offsets_s": [2, 1]},
        {"offsets_s": [0, 1]},
        {"offsets_s": [1, 1e300]},
        {"offsets_s": list(range(1, 1000))},
        {"cpu_cores": [1]},
        {"cpu_cores": ["nan", 1]},
        {"stages": []},
        {"began_at": "2026-01-01T00:00:00"},
        {"other": 1},
    ],
)
def test_what_a_task_made_up_is_refused(wrong: dict[str, Any]) -> None:
    TaskHardware.model_validate(GOOD)
    with pytest.raises(ValidationError):
        TaskHardware.model_validate(GOOD | wrong)
