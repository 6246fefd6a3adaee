from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_aiopt.telemetry.run_hardware import (
    MAX_STEPS,
    HardwareCurve,
    RunHardware,
    SampledTask,
    build_run_hardware,
)
from airflow_provider_aiopt.telemetry.task_hardware import TaskHardware
from airflow_provider_aiopt.telemetry.testing import EPOCH
from airflow_provider_aiopt.telemetry.timings import RunFacts, TaskFacts

RUN = RunFacts(dag_id="d", run_id="r", state="success", started_at=EPOCH - timedelta(seconds=10))


def sampled(
    task_id: str = "inference", index: int = -1, *, start: float = 0.0, points: int = 4, **fields: Any
) -> SampledTask:
    """An account of points a second apart."""
    columns = {"offsets_s": tuple(range(1, points + 1)), "cpu_cores": (1.0,) * points}
    defaults = {"stages": (task_id,), "began_at": EPOCH + timedelta(seconds=start), **columns}
    return SampledTask(task_id, index, TaskHardware.model_validate(defaults | fields))


def built(*tasks: SampledTask, attempt: int = 1, **more: Any) -> RunHardware:
    facts = [TaskFacts(task_id=t.task_id, map_index=t.map_index, try_number=attempt) for t in tasks]
    return build_run_hardware(RUN, facts, tasks, **more)


def seconds_of(curve: HardwareCurve, column: str) -> float:
    """Return a column's integral."""
    step = curve.t_s[1] - curve.t_s[0]
    return step * sum(value or 0.0 for value in getattr(curve, column))


def test_without_accounts_there_is_nothing() -> None:
    assert built(unread=2) == RunHardware(origin="run", unread=2)


def test_a_single_task_has_its_own_points() -> None:
    task = sampled(memory_bytes=(1, 5, 3, 2), memory_limit_bytes=10)
    found = built(task)
    (curve,) = found.curves
    assert (found.origin, found.origin_at) == ("task", EPOCH)
    assert (curve.name, curve.tasks, curve.t_s) == ("inference", 1, (1, 2, 3, 4))
    assert (curve.cpu_cores, curve.memory_bytes, curve.gpu_utilisation) == ((1,) * 4, (1, 5, 3, 2), ())
    assert found.fullest is not None
    assert (found.fullest.memory_bytes, found.fullest.limit_bytes) == (5, 10)


def test_tasks_side_by_side_add_up_and_their_hosts_do_not() -> None:
    columns: dict[str, Any] = {
        "host_cpu": (0.5,) * 4,
        "memory_bytes": (100,) * 4,
        "gpu_utilisation": (0.8,) * 4,
        "gpu_memory_bytes": (7,) * 4,
    }
    found = built(*(sampled(index=index, **columns) for index in range(3)))
    (curve,) = found.curves
    assert (found.origin, curve.tasks, curve.t_s) == ("run", 3, (11, 12, 13, 14))
    assert curve.cpu_cores == (3,) * 4
    assert curve.memory_bytes == (300,) * 4
    assert (curve.host_cpu, curve.gpu_utilisation, curve.gpu_memory_bytes) == (
        (0.5,) * 4,
        (0.8,) * 4,
        (7,) * 4,
    )


def test_stages_come_in_their_order_each_in_its_time() -> None:
    found = built(sampled("inference", start=4), sampled("ingest"))
    assert [curve.name for curve in found.curves] == ["ingest", "inference"]
    assert found.curves[0].cpu_cores == (*(1,) * 4, *(None,) * 4)
    assert found.curves[1].cpu_cores == (*(None,) * 4, *(1,) * 4)
    assert [(task.task_id, task.map_index) for task in found.tasks] == [("ingest", -1), ("inference", -1)]


def test_a_task_of_several_stages_has_its_own_name() -> None:
    found = built(
        sampled("pipeline", 0, stages=("ingest", "inference")),
        sampled("pipeline", 1, stages=("ingest", "inference")),
    )
    assert [curve.name for curve in found.curves] == ["pipeline"]


@pytest.mark.parametrize("tasks", [2, 40, 500])
def test_a_wide_run_has_few_points_and_loses_no_work(tasks: int) -> None:
    found = built(*(sampled(index=index, start=0.37 * index, points=7) for index in range(tasks)))
    (curve,) = found.curves
    assert len(curve.t_s) <= MAX_STEPS
    assert seconds_of(curve, "cpu_cores") == pytest.approx(7 * tasks, rel=0.01)
    assert len(found.tasks) == tasks


def test_what_is_known_of_some_tasks_only_is_their_mean() -> None:
    found = built(sampled(index=0, gpu_utilisation=(0.6, None, 0.6, 0.6)), sampled(index=1))
    assert found.curves[0].gpu_utilisation == (0.6, None, 0.6, 0.6)


def test_an_earlier_attempt_does_not_count() -> None:
    assert built(sampled(try_number=1), attempt=2).curves == ()
    assert len(built(sampled(try_number=2), attempt=2).curves) == 1


def test_a_task_that_the_run_does_not_have_does_not_count() -> None:
    assert build_run_hardware(RUN, [], [sampled()]).curves == ()


def test_the_fullest_is_the_one_nearest_to_its_own_limit() -> None:
    found = built(
        sampled(index=0, memory_bytes=(9,) * 4, memory_limit_bytes=100),
        sampled(index=1, memory_bytes=(5,) * 4, memory_limit_bytes=10),
        sampled(index=2, memory_bytes=(50,) * 4),
    )
    assert found.fullest is not None
    assert found.fullest.map_index == 1


def test_times_far_apart_cost_no_more_than_others() -> None:
    found = built(sampled(index=0, offsets_s=(0.001, 1e9), cpu_cores=(1, 1)), sampled(index=1, start=-1e9))
    assert len(found.curves[0].t_s) == MAX_STEPS
