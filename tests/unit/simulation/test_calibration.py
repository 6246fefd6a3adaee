from __future__ import annotations

from typing import Any

import advisor_reports
import pytest
from advisor_reports import CORES, ITEMS, hardware, stage, task_times

from airflow_provider_aiopt.exceptions import ReportError
from airflow_provider_aiopt.simulation.calibration import calibrate
from airflow_provider_aiopt.telemetry.reports import RunReport
from airflow_provider_aiopt.telemetry.summary import build_run_report
from airflow_provider_aiopt.telemetry.testing import make_task


def one_stage(*tasks: dict[str, Any], name: str = "inference") -> RunReport:
    """Return a run of one step whose tasks followed each other, each with half a second before and after."""
    reports, times, moment = [stage("ingest", wall_s=1.0, task=make_task("ingest"), own=0.5)], [], 1.5
    times.append(task_times("ingest", -0.5, -0.5, 1.1))
    for index, fields in enumerate(tasks):
        items = fields.get("items_in", ITEMS)
        made = stage(
            name,
            start=moment + 0.5,
            shard=f"{index:05d}",
            task=make_task(name, index),
            **{"items_out": items, **fields},
        )
        ended = moment + 0.5 + made.wall_s + 0.25
        times.append(task_times(name, 1.3, moment, ended, index=index))
        reports.append(made)
        moment = ended + 0.1
    return build_run_report(reports, task_times=times).model_copy(update={"queued_s": 0.4})


def test_the_parts_of_a_task_on_free_cores() -> None:
    setup = {"setup_s": 2.0}
    report = one_stage({"own": 2.0, "wall_s": 10.0, "cpu_s": 18.0, "evidence": setup})

    [_, step] = calibrate([report]).steps

    assert step.name == "inference"
    assert step.model
    assert step.mapped
    assert step.start_up_cpu_s.values == pytest.approx((0.5,))
    assert step.setup_cpu_s.values == (2.0,)
    assert step.cpu_s_per_item == pytest.approx(16 / ITEMS)
    assert step.width == 2.0
    assert step.wait_s_per_item == 0.0
    assert step.ending_cpu_s.values == pytest.approx((0.25,))
    assert step.mean_s(ITEMS) == pytest.approx(10.75)


def test_what_a_task_waits_for_is_no_work_of_cores() -> None:
    report = one_stage({"own": 0.25, "wall_s": 10.0, "cpu_s": 3.0, "evidence": {"setup_s": 2.0}})

    [_, step] = calibrate([report]).steps

    assert step.width == 1.0
    assert step.cpu_s_per_item == pytest.approx(1 / ITEMS)
    assert step.wait_s_per_item == pytest.approx(7 / ITEMS)


def test_tasks_of_different_sizes_tell_what_each_costs_besides() -> None:
    # 3 s each and 0.01 s for each record, of which set-up has shown 1 s.
    tasks = [
        {"items_in": items, "wall_s": cpu, "cpu_s": cpu, "own": 1.0, "evidence": {"setup_s": 1.0}}
        for items in (100, 400, 1000)
        for cpu in [3 + items * 0.01]
    ]

    [_, step] = calibrate([one_stage(*tasks)]).steps

    assert step.setup_cpu_s.mean == pytest.approx(3.0)
    assert step.cpu_s_per_item == pytest.approx(0.01)
    assert step.variation.values == pytest.approx((1.0, 1.0, 1.0))


def test_tasks_of_one_size_vary_around_their_mean() -> None:
    tasks = [{"cpu_s": cpu, "wall_s": 20.0, "own": 1.0, "evidence": {"setup_s": 0.0}} for cpu in (9.0, 15.0)]

    [_, step] = calibrate([one_stage(*tasks)]).steps

    assert step.variation.values == pytest.approx((0.75, 1.25))


@pytest.mark.parametrize("got", [4.0, 2.0, 1.0])
def test_neighbours_change_neither_the_work_nor_what_it_can_use(got: float) -> None:
    # Four threads on four cores did 16 s of work, with got cores of them.
    task = {
        "cpu_s": 16.0,
        "wall_s": 16.0 / got,
        "hardware": hardware(got, CORES - got),
        "details": {"threads": 4},
        "evidence": {"setup_s": 0.0},
    }

    known = calibrate([one_stage(task)])

    assert known.steps[1].cpu_s_per_item == pytest.approx(16 / ITEMS)
    assert known.steps[1].width == 4.0
    assert known.neighbours == pytest.approx(4 * (4 / got - 1))
    assert known.services == 0.0
    assert known.crowded is (got < 4.0)


def test_small_processes_beside_it_are_services() -> None:
    task = {"cpu_s": 32.0, "wall_s": 10.0, "hardware": hardware(3.2, 0.6), "evidence": {"setup_s": 0.0}}

    known = calibrate([one_stage(task)])

    assert known.steps[1].width == pytest.approx(3.2)
    assert known.services == pytest.approx(0.6)
    assert known.neighbours == 0.0


def test_airflow_is_measured_by_its_own_times() -> None:
    quick = {"wall_s": 1.0, "cpu_s": 1.0, "own": 1.0}
    airflow = calibrate([one_stage(quick, quick)]).airflow

    assert airflow.measured
    assert airflow.run_start_s.values == (0.4,)
    # From the end of ingest to the first task's turn.
    assert min(airflow.loop_s.values) == pytest.approx(0.2)


def test_without_airflow_estimates_stand_in() -> None:
    known = calibrate([advisor_reports.healthy()])

    assert not known.airflow.measured
    assert [step.name for step in known.steps] == ["ingest", "preprocess", "inference", "postprocess"]
    assert [step.mapped for step in known.steps] == [False, True, True, False]
    assert all(step.start_up_cpu_s.mean > 0 for step in known.steps)


def test_streamed_stages_are_one_step() -> None:
    known = calibrate([advisor_reports.streamed()])

    [step] = known.steps
    assert known.mode == "streaming"
    assert (step.name, step.mapped, step.model) == ("pipeline", True, True)
    assert step.stages == ("ingest", "preprocess", "inference", "postprocess")


def test_several_runs_are_taken_together() -> None:
    known = calibrate([one_stage({}), one_stage({})])

    assert known.runs == 2
    assert known.tasks == 4
    assert len(known.steps[1].setup_cpu_s.values) == 2


def test_a_calibration_is_kept_whole() -> None:
    known = calibrate([one_stage({})])

    assert type(known).model_validate_json(known.model_dump_json()) == known


def test_it_needs_a_run() -> None:
    with pytest.raises(ReportError, match="no run"):
        calibrate([])


def test_runs_are_of_one_pipeline_and_mode() -> None:
    with pytest.raises(ReportError, match=r"2 pipelines: .*\(staged\), .*\(streaming\)"):
        calibrate([advisor_reports.healthy(), advisor_reports.streamed()])


def test_a_run_without_records_tells_nothing() -> None:
    empty = advisor_reports.healthy().model_copy(update={"records_in": 0})

    with pytest.raises(ReportError, match="no finished task with records"):
        calibrate([empty])
