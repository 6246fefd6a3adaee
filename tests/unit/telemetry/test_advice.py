from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_aiopt.telemetry.advice import advise
from airflow_provider_aiopt.telemetry.reports import TaskTimes
from airflow_provider_aiopt.telemetry.summary import build_run_report
from airflow_provider_aiopt.telemetry.testing import EPOCH, make_stage_report, make_task
from airflow_provider_aiopt.telemetry.timings import Advice


def advice(queued_s: float = 0.0, **report: Any) -> tuple[Advice, ...]:
    queued_at = EPOCH - timedelta(seconds=queued_s)
    times = TaskTimes(task_id="inference", scheduled_at=queued_at, queued_at=queued_at, started_at=EPOCH)
    made = make_stage_report("inference", task=make_task("inference"), **report)
    return advise(build_run_report([made], task_times=[times]))


@pytest.mark.parametrize(
    ("report", "title", "remedy"),
    [
        (
            {"wait_input_s": 8},
            "inference takes 100.0 % of the time, 80.0 % of it reading",
            "execution.workers",
        ),
        ({"wait_output_s": 8}, "inference takes 100.0 % of the time, 80.0 % of it writing", "work folder"),
        (
            {"model_load_s": 8},
            "inference takes 100.0 % of the time, 80.0 % of it loading its model",
            "larger shards",
        ),
        ({}, "inference takes 100.0 % of the time, 100.0 % of it computing", "more cores"),
    ],
)
def test_the_bottlenecks_largest_part_is_named(report: dict[str, Any], title: str, remedy: str) -> None:
    (found,) = advice(wall_s=10, **report)
    assert found.title == title
    assert remedy in found.text


def test_nothing_stands_out_where_all_parts_are_alike() -> None:
    assert advice(wall_s=9, wait_input_s=3, wait_output_s=3) == ()


@pytest.mark.parametrize(("busiest", "remedy"), [("ingest", "faster storage"), ("inference", "more cores")])
def test_where_stages_run_side_by_side_the_busiest_is_named(busiest: str, remedy: str) -> None:
    reports = [
        make_stage_report(
            stage, wall_s=10, wait_input_s=4 if stage == busiest else 8, pid=1, task=make_task("pipeline")
        )
        for stage in ("ingest", "inference")
    ]
    (found,) = advise(build_run_report(reports))
    assert found.title == f"{busiest} holds up the stages beside it: 75.0 % of all their work"
    assert remedy in found.text


def test_a_wait_longer_than_the_work_is_named() -> None:
    found = advice(wall_s=2, queued_s=5)
    assert found[-1].title == "A task of inference waited 5.0 s for a worker, longer than any stage took"


@pytest.mark.parametrize(("wall_s", "queued_s"), [(10, 5), (0.1, 0.5)])
def test_a_usual_wait_is_not(wall_s: float, queued_s: float) -> None:
    assert len(advice(wall_s=wall_s, queued_s=queued_s)) == 1


def test_without_a_report_there_is_none() -> None:
    assert advise(None) == ()
