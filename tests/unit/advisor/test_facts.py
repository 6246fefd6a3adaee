from __future__ import annotations

from collections.abc import Sequence

import pytest
from advisor_reports import in_airflow, mapped, run, streamed, task_times

from airflow_provider_aiopt.advisor.diagnosis import diagnose
from airflow_provider_aiopt.advisor.facts import Facts, TaskSpan, most_at_once


def test_outside_airflow_a_run_takes_from_its_first_stage_to_its_last() -> None:
    assert Facts(run()).elapsed_s == pytest.approx(21.5)


def test_in_airflow_it_takes_from_the_first_tasks_scheduling_on() -> None:
    facts = Facts(in_airflow(gap_s=1.0, start_up_s=0.5))
    assert facts.elapsed_s == pytest.approx(21.5 + 4 * 0.5 + 3 * 1.0)
    assert facts.scheduling_gaps == pytest.approx((1.0, 1.0, 1.0))
    assert [span.start_up_s for span in facts.spans] == pytest.approx([0.5] * 4)


def test_settings_are_those_of_the_stages() -> None:
    facts = Facts(run(ingest={"settings": {"source.readers": 7}}))
    assert facts.number("source.readers") == 7
    assert facts.setting("model.device") == "auto"
    assert facts.number("model.device") is None
    assert facts.setting("model.threads") is None


def test_the_work_of_tasks_side_by_side_counts_once() -> None:
    stage = Facts(mapped(tasks=4, at_once=4, each_s=8.0, start_up_s=0.0, cpu_s=8.0)).stages["inference"]
    assert stage.concurrency == pytest.approx(4)
    assert stage.compute_s == pytest.approx(8 - 0.2)
    assert stage.own_cores == pytest.approx(32 / 7.8)


def test_siblings_are_no_neighbours() -> None:
    report = mapped(tasks=2, at_once=2, each_s=8.0, start_up_s=0.0, cpu_s=8.0)
    tasks = [
        task.model_copy(update={"hardware": _hardware(own=1.0, host=0.75)}) if task.hardware else task
        for task in report.tasks
    ]
    stage = Facts(report.model_copy(update={"tasks": tuple(tasks)})).stages["inference"]
    assert stage.other_cores == pytest.approx(4 * 0.75 - 2)


def test_a_streamed_stage_takes_what_its_threads_work() -> None:
    facts = Facts(streamed())
    assert facts.streamed
    assert facts.stages["inference"].elapsed_s == pytest.approx(5)
    assert facts.elapsed_s == pytest.approx(10)


def test_most_at_once_counts_no_task_that_begins_as_another_ends() -> None:
    spans = [_span(0, 2), _span(2, 4), _span(1, 3)]
    assert most_at_once(spans) == 2


def test_how_many_ran_at_once_is_counted_once_for_a_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []

    def count(spans: Sequence[TaskSpan]) -> int:
        counted.append(len(spans))
        return most_at_once(spans)

    monkeypatch.setattr("airflow_provider_aiopt.advisor.facts.most_at_once", count)
    diagnose(mapped(tasks=300, at_once=4, each_s=1.0, start_up_s=0.1, cpu_s=1.0))
    assert counted.count(300) == 1, "else a page of many tasks takes seconds"


def _span(started: float, ended: float) -> TaskSpan:
    return TaskSpan(task_times("task", started, started, ended), work_s=1, cpu_s=1, stage="inference")


def _hardware(*, own: float, host: float) -> object:
    from advisor_reports import hardware

    from airflow_provider_aiopt.telemetry.hardware.models import HardwareUse

    return HardwareUse.model_validate({**hardware(own), "host_cpu": {"mean": host, "max": host}})
