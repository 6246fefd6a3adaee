from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.telemetry.reports import STAGES, RunReport, StageReport
from airflow_provider_aiopt.telemetry.run_timings import build_run_timings, only_task
from airflow_provider_aiopt.telemetry.testing import EPOCH, make_stage_report, make_task
from airflow_provider_aiopt.telemetry.timings import (
    SEGMENTS,
    Advice,
    RunFacts,
    RunTimings,
    TaskFacts,
    TaskTimings,
)


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def run_facts(state: str = "success", end: float | None = 20) -> RunFacts:
    ended = None if end is None else at(end)
    return RunFacts(dag_id="dag", run_id="run", state=state, started_at=EPOCH, ended_at=ended)


def task_facts(task_id: str, map_index: int = -1, *, start: float | None = 2, **fields: Any) -> TaskFacts:
    """A task that was scheduled 2 s before a worker began it, and queued 1.5 s before."""
    times = {} if start is None else {"started_at": at(start), "queued_at": at(start - 1.5)}
    defaults = {"scheduled_at": at((start or 2) - 2), "state": "success", "stage": task_id}
    return TaskFacts(task_id=task_id, map_index=map_index, **(defaults | times | fields))


def report(stage: str, map_index: int = -1, *, start: float = 2.5, **fields: Any) -> StageReport:
    return make_stage_report(
        stage, start=start, task=make_task(fields.pop("task_id", stage), map_index), **fields
    )


def build(tasks: list[TaskFacts], reports: list[StageReport], **options: Any) -> RunTimings:
    return build_run_timings(options.pop("run", run_facts()), tasks, reports, now=at(30), **options)


def seconds(row: TaskTimings) -> dict[str, float]:
    return {segment.name: segment.seconds for segment in row.segments}


@pytest.mark.parametrize(("queued", "waited"), [(-7, 7.0), (1, 0.0), (None, None)])
def test_what_the_run_waited_is_told_to_the_advisor(queued: float | None, waited: float | None) -> None:
    facts = run_facts().model_copy(update={"queued_at": None if queued is None else at(queued)})
    told: list[RunReport] = []

    def advise(run: RunReport) -> tuple[Advice, ...]:
        told.append(run)
        return ()

    build([task_facts("inference")], [report("inference")], run=facts, advise=advise)

    assert [run.queued_s for run in told] == [waited]


def test_a_task_is_split_from_scheduled_to_its_end() -> None:
    worked = report("inference", wall_s=10, wait_input_s=2, wait_output_s=1, model_load_s=3, busy_s=7)

    (row,) = build([task_facts("inference")], [worked]).tasks

    assert seconds(row) == pytest.approx(
        {
            "scheduled": 0.5,
            "queued": 1.5,
            "start_up": 0.5,
            "model_load": 3,
            "reading": 2,
            "computing": 4,
            "writing": 1,
        }
    )
    assert [segment.name for segment in row.segments] == [name for name in SEGMENTS if name != "waiting"]


def test_a_streamed_stage_waits_for_its_neighbours_and_only_the_ends_read_and_write() -> None:
    parts = {"wall_s": 10, "wait_input_s": 2, "wait_output_s": 1, "busy_s": 7}
    reports = [report(stage, task_id="pipeline", pid=7, host="h", **parts) for stage in STAGES]

    rows = {row.stage: seconds(row) for row in build([task_facts("pipeline")], reports).tasks}

    named = ("reading", "waiting", "writing")
    assert {stage: [parts.get(name) for name in named] for stage, parts in rows.items()} == {
        "ingest": [2, 1, None],
        "preprocess": [None, 3, None],
        "inference": [None, 3, None],
        "postprocess": [None, 2, 1],
    }


@given(
    st.lists(
        st.tuples(*[st.floats(0, 1e6) for _ in range(4)], st.floats(-5, 5)),
        min_size=1,
        max_size=4,
    )
)
def test_the_work_adds_up_to_the_stages_wall_time(parts: list[tuple[float, ...]]) -> None:
    reports = [
        report(
            "inference",
            index,
            start=2 + late,  # also before its task, by the clock of another host
            wall_s=load + compute + reading + writing,
            model_load_s=load,
            busy_s=load + compute,
            wait_input_s=reading,
            wait_output_s=writing,
        )
        for index, (load, compute, reading, writing, late) in enumerate(parts)
    ]
    tasks = [task_facts("inference", index) for index in range(len(parts))]

    for row, item in zip(build(tasks, reports).tasks, reports, strict=True):
        found = seconds(row)
        work = sum(found[name] for name in ("model_load", "reading", "computing", "writing"))
        assert work == pytest.approx(item.wall_s, rel=1e-9, abs=1e-6)
        assert min(found.values()) >= 0


def test_the_runs_times_are_airflows() -> None:
    timings = build([task_facts("ingest")], [report("ingest", pipeline="photographs")])
    assert (timings.dag_id, timings.run_id, timings.pipeline) == ("dag", "run", "photographs")
    assert (timings.started_at, timings.ended_at, timings.wall_s) == (EPOCH, at(20), 20)


def test_a_run_that_has_not_ended_lasts_until_now() -> None:
    timings = build([], [], run=run_facts("running", None))
    assert (timings.wall_s, timings.ended_at, timings.mode) == (30, None, None)
    assert "has not ended" in timings.notes[0]


def test_a_queued_run_has_taken_no_time() -> None:
    queued = RunFacts(dag_id="dag", run_id="run", state="queued")
    assert build([], [], run=queued).wall_s == 0


def test_a_running_task_has_airflows_times_only() -> None:
    tasks = [task_facts("ingest"), task_facts("preprocess", 0, start=5, state="running", host="worker")]

    timings = build(tasks, [report("ingest", items_out=4)], run=run_facts("running", None))

    ingest, running = timings.tasks
    assert (ingest.items, running.items) == (4, 0)
    assert (running.stage, running.state, running.host, running.ended_at) == (
        "preprocess",
        "running",
        "worker",
        None,
    )
    assert seconds(running) == {"scheduled": 0.5, "queued": 1.5}
    assert [stage.stage for stage in timings.stages] == ["ingest"]


def test_a_task_that_is_only_scheduled_has_no_segment() -> None:
    (row,) = build([task_facts("ingest", start=None, state="scheduled")], []).tasks
    assert row.segments == ()
    assert row.started_at is None


def test_a_task_before_it_has_a_state() -> None:
    (row,) = build([task_facts("ingest", start=None, state=None)], []).tasks
    assert row.state == "none"


def test_tasks_of_no_stage_are_left_out() -> None:
    assert build([task_facts("notify", stage=None)], []).tasks == ()


def test_shards_of_a_known_task_belong_to_its_stage() -> None:
    tasks = [task_facts("shrink", index, stage=None) for index in (0, 1)]
    rows = build(tasks, [report("resize", 0, task_id="shrink")]).tasks
    assert [(row.stage, row.map_index) for row in rows] == [("resize", 0), ("resize", 1)]


def test_tasks_come_in_the_order_of_the_stages_and_shards() -> None:
    tasks = [task_facts(stage, index) for stage in reversed(STAGES) for index in (10, 2)]
    rows = build(tasks, [report("inference", 2)]).tasks
    assert [row.stage for row in rows] == [
        "inference",
        "inference",
        "ingest",
        "ingest",
        "preprocess",
        "preprocess",
        "postprocess",
        "postprocess",
    ]
    assert [row.map_index for row in rows] == [2, 10] * 4


def test_a_task_that_ran_all_stages_waited_once() -> None:
    reports = [report(stage, task_id="pipeline", pid=7, host="h") for stage in STAGES]

    timings = build([task_facts("pipeline")], reports)

    assert timings.mode == "streaming"
    assert [row.stage for row in timings.tasks] == list(STAGES)
    assert [set(SEGMENTS[:3]) <= seconds(row).keys() for row in timings.tasks] == [True, False, False, False]


def test_stages_in_tasks_of_their_own_are_staged() -> None:
    timings = build([task_facts("ingest"), task_facts("inference")], [report("ingest"), report("inference")])
    assert timings.mode == "staged"


def test_a_plan_is_streaming_before_anything_streams() -> None:
    planned = report("ingest", task_id="plan", details={"mode": "streaming"})
    assert build([task_facts("plan")], [planned]).mode == "streaming"


def test_what_an_earlier_attempt_reported_does_not_count() -> None:
    again = task_facts("ingest", try_number=2, state="running")

    timings = build([again], [report("ingest", items_out=9)])

    assert timings.stages == ()
    assert timings.tasks[0].items == 0


def test_a_report_of_no_task_of_the_run_does_not_count() -> None:
    assert build([], [report("ingest")]).stages == ()


def test_records_are_counted() -> None:
    reports = [
        report("ingest", items_in=10, items_out=10),
        report("preprocess", start=4, items_in=10, items_out=8, quarantined=2),
        report("inference", start=6, items_in=8, items_out=8),
        report("postprocess", start=8, items_in=8, items_out=8),
    ]
    timings = build([task_facts(stage) for stage in STAGES], reports)
    assert (timings.records_in, timings.results, timings.quarantined) == (10, 8, 2)


def test_a_stage_has_its_mean_batch_and_gpu_use() -> None:
    reports = [
        report("inference", 0, batch_sizes={8: 3, 4: 1}, gpu_utilisation=0.5, wall_s=3),
        report("inference", 1, batch_sizes={2: 1}, gpu_utilisation=0.9, wall_s=1),
        report("inference", 2, wall_s=5),
    ]
    (stage,) = build([task_facts("inference", index) for index in range(3)], reports).stages
    assert stage.batch_size == pytest.approx(30 / 5)
    assert stage.gpu_utilisation == pytest.approx(0.6)


def test_a_stage_without_either_says_so() -> None:
    (stage,) = build([task_facts("ingest")], [report("ingest")]).stages
    assert (stage.batch_size, stage.gpu_utilisation) == (None, None)


def test_reasons_for_quarantine_come_by_number() -> None:
    reports = [
        report("ingest", quarantined=1),
        report("preprocess", 0, quarantined=3, details={"quarantined_by": {"DecodeError": 2, "TooLarge": 1}}),
        report("preprocess", 1, quarantined=4, details={"quarantined_by": {"DecodeError": 2}}),
    ]
    tasks = [task_facts("ingest"), task_facts("preprocess", 0), task_facts("preprocess", 1)]

    found = build(tasks, reports).quarantine

    assert [(item.stage, item.error, item.count) for item in found] == [
        ("preprocess", "DecodeError", 4),
        ("preprocess", "unknown", 2),
        ("ingest", "unknown", 1),
        ("preprocess", "TooLarge", 1),
    ]


@pytest.mark.parametrize(
    "odd", [None, [], "x", {"DecodeError": "many"}, {"DecodeError": -1}, {"DecodeError": 9}]
)
def test_odd_reasons_are_unknown(odd: Any) -> None:
    odd_report = report("ingest", quarantined=2, details={"quarantined_by": odd})
    (found,) = build([task_facts("ingest")], [odd_report]).quarantine
    assert (found.error, found.count) == ("unknown", 2)


def test_notes_name_what_is_missing() -> None:
    tasks = [task_facts("ingest", state="failed"), task_facts("notify", stage=None, state="failed")]
    notes = " ".join(build(tasks, [], unreadable=3).notes)
    assert "No task of this run has reported" in notes
    assert "1 failed tasks" in notes
    assert "3 reports could not be read" in notes


def test_a_run_that_ended_well_needs_no_note() -> None:
    assert build([task_facts("ingest")], [report("ingest")]).notes == ()


def test_one_tasks_view_keeps_the_stages() -> None:
    tasks = [task_facts("ingest"), *(task_facts("inference", index) for index in range(3))]
    timings = build(tasks, [report("ingest"), *(report("inference", index) for index in range(3))])

    both = only_task(timings, "inference")
    one = only_task(timings, "inference", 2)

    assert [row.map_index for row in both.tasks] == [0, 1, 2]
    assert [(row.task_id, row.map_index) for row in one.tasks] == [("inference", 2)]
    assert one.stages == timings.stages
    assert only_task(timings, "notify").tasks == ()


def test_names_stay_as_they_are() -> None:
    name = "<script>alert(1)</script>"
    (row,) = build([task_facts("ingest")], [report("ingest", shard=name, host=name)]).tasks
    assert (row.shard, row.host) == (name, name)


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({}, None),
        (
            {
                "profile": {
                    "kind": "line",
                    "uri": "/p",
                    "files": {"a.txt": 3},
                    "overhead": None,
                    "functions": 2,
                }
            },
            {"kind": "line", "uri": "/p", "files": {"a.txt": 3}, "error": None},
        ),
        ({"profile": {"kind": 1}}, None),
        ({"profile": "what a task may write"}, None),
    ],
)
def test_a_tasks_profile_is_linked_where_its_report_names_one(details: Any, expected: Any) -> None:
    (row,) = build([task_facts("inference")], [report("inference", details=details)]).tasks
    assert (row.profile and row.profile.model_dump()) == expected
