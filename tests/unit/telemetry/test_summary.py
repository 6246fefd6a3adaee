from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_aiopt.exceptions import ReportError
from airflow_provider_aiopt.telemetry.reports import STAGES, StageReport, TaskTimes
from airflow_provider_aiopt.telemetry.summary import build_run_report
from airflow_provider_aiopt.telemetry.testing import EPOCH, make_stage_report, make_task


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def four_stages(*walls: float) -> list[StageReport]:
    starts = [sum(walls[:place]) for place in range(len(walls))]
    return [
        make_stage_report(stage, start=start, wall_s=wall)
        for stage, start, wall in zip(STAGES, starts, walls, strict=True)
    ]


def test_stages_come_in_pipeline_order_with_shares_and_bottleneck() -> None:
    report = build_run_report(list(reversed(four_stages(1, 2, 6, 1))))

    assert [stage.stage for stage in report.stages] == list(STAGES)
    assert [stage.share for stage in report.stages] == pytest.approx([0.1, 0.2, 0.6, 0.1])
    assert report.bottleneck is not None
    assert report.bottleneck.stage == "inference"
    assert report.wall_s == 10
    assert not report.overlapped


def test_waits_between_stages_belong_to_the_run_but_to_no_stage() -> None:
    reports = [
        make_stage_report("ingest", start=0, wall_s=1),
        make_stage_report("preprocess", start=5, wall_s=1),
    ]

    report = build_run_report(reports)

    assert report.wall_s == 6
    assert sum(stage.duration_s for stage in report.stages) == 2


def test_shards_side_by_side_span_from_first_begin_to_last_end() -> None:
    shards = [
        make_stage_report(
            start=0, wall_s=4, shard="0", items_out=30, cpu_utilisation=1.0, peak_memory_bytes=5
        ),
        make_stage_report(
            start=1, wall_s=5, shard="1", items_out=30, cpu_utilisation=0.1, peak_memory_bytes=7
        ),
    ]

    (stage,) = build_run_report(shards).stages

    assert (stage.tasks, stage.duration_s, stage.task_s, stage.items) == (2, 6, 9, 60)
    assert stage.items_per_s == 10
    assert stage.cpu_utilisation == pytest.approx(0.5)
    assert stage.peak_memory_bytes == 7


def test_a_single_task_lasts_by_the_monotonic_clock() -> None:
    stepped = make_stage_report(wall_s=2, ended_at=at(-100))

    report = build_run_report([stepped])

    assert report.stages[0].duration_s == 2
    assert report.ended_at >= report.started_at
    assert report.wall_s == 2


def test_only_the_last_attempt_counts() -> None:
    failed = make_stage_report(
        task=make_task("infer", try_number=1), state="failed", error="E: x", items_out=5, quarantined=5
    )
    again = make_stage_report(start=9, task=make_task("infer", try_number=2), items_out=100)

    report = build_run_report([again, failed])

    assert (report.stages[0].tasks, report.stages[0].failed, report.stages[0].items) == (1, 0, 100)
    assert report.quarantined == 0
    assert report.started_at == at(9)


def test_a_failed_last_attempt_is_counted_as_failed() -> None:
    report = build_run_report(
        [make_stage_report(state="failed", error="E: x", shard="0"), make_stage_report()]
    )

    assert (report.stages[0].tasks, report.stages[0].failed) == (2, 1)


def test_items_of_an_earlier_attempt_do_not_raise_the_rate() -> None:
    (stage,) = build_run_report([make_stage_report(wall_s=2, items_out=100, resumed_items=90)]).stages

    assert (stage.items, stage.resumed, stage.items_per_s) == (100, 90, 5)


def test_stages_side_by_side_in_one_process_are_compared_by_busy_time() -> None:
    busy = dict(zip(STAGES, (1.0, 3.0, 5.0, 1.0), strict=True))
    reports = [
        make_stage_report(stage, start=0.001 * i, wall_s=10 + i, busy_s=busy[stage], pid=7)
        for i, stage in enumerate(STAGES)
    ]

    report = build_run_report(reports)

    assert report.overlapped
    assert [stage.share for stage in report.stages] == pytest.approx([0.1, 0.3, 0.5, 0.1])
    assert report.bottleneck is not None
    assert report.bottleneck.stage == "inference"


@pytest.mark.parametrize("pids", [(7, 8), (0, 0)], ids=["two processes", "unknown processes"])
def test_overlap_of_different_processes_is_not_streaming(pids: tuple[int, int]) -> None:
    reports = [
        make_stage_report("preprocess", start=0, wall_s=10, pid=pids[0], shard="1"),
        make_stage_report("inference", start=1, wall_s=10, pid=pids[1], shard="0"),
    ]

    assert not build_run_report(reports).overlapped


def test_stages_one_after_another_in_one_process_are_not_streaming() -> None:
    reports = [make_stage_report(stage, start=float(i), pid=7) for i, stage in enumerate(STAGES)]

    assert not build_run_report(reports).overlapped


def test_timed_stages_stand_where_they_began() -> None:
    reports = [
        make_stage_report("publish", start=9),
        make_stage_report("ingest", start=0),
        make_stage_report("download", start=-5),
        make_stage_report("validate", start=2),
        make_stage_report("preprocess", start=3),
    ]

    stages = [stage.stage for stage in build_run_report(reports).stages]

    assert stages == ["download", "ingest", "validate", "preprocess", "publish"]


def test_clock_skew_never_swaps_pipeline_stages() -> None:
    reports = [make_stage_report("ingest", start=3), make_stage_report("preprocess", start=2)]

    assert [stage.stage for stage in build_run_report(reports).stages] == ["ingest", "preprocess"]


@pytest.mark.parametrize(
    ("reports", "records_in", "results"),
    [
        pytest.param(
            [
                make_stage_report("ingest", items_in=10, items_out=9),
                make_stage_report("postprocess", items_in=9, items_out=8),
            ],
            10,
            8,
            id="whole pipeline",
        ),
        pytest.param([make_stage_report("ingest", items_in=10, items_out=9)], 10, 0, id="not finished"),
        pytest.param(
            [make_stage_report("inference", items_in=9, items_out=9)], 9, 0, id="first reports missing"
        ),
        pytest.param(
            [
                make_stage_report("extract", start=0, items_in=5, items_out=4),
                make_stage_report("train", start=1, items_in=4, items_out=3),
            ],
            5,
            3,
            id="timed stages only",
        ),
    ],
)
def test_records_are_those_at_both_ends(reports: list[StageReport], records_in: int, results: int) -> None:
    report = build_run_report(reports)

    assert (report.records_in, report.results) == (records_in, results)


def test_queue_times_are_matched_by_task_map_index_and_try() -> None:
    reports = [
        make_stage_report(shard="0", task=make_task("infer", map_index=0)),
        make_stage_report(shard="1", task=make_task("infer", map_index=1, try_number=2)),
        make_stage_report("ingest", start=-9, task=make_task("ingest")),
    ]
    times = [
        TaskTimes(task_id="infer", map_index=0, scheduled_at=at(-4), queued_at=at(-3), started_at=at(-1)),
        TaskTimes(
            task_id="infer",
            map_index=1,
            try_number=2,
            scheduled_at=at(-9),
            queued_at=at(-7),
            started_at=at(-6),
        ),
        TaskTimes(task_id="ingest", try_number=2, queued_at=at(-90), started_at=at(0)),
    ]

    ingest, inference = build_run_report(reports, task_times=times).stages

    assert (inference.scheduled_s, inference.queued_s) == (2, 2)
    assert (ingest.scheduled_s, ingest.queued_s) == (None, None)


def test_queue_times_of_disagreeing_clocks_are_never_negative() -> None:
    times = [TaskTimes(task_id="task", scheduled_at=at(5), queued_at=at(4), started_at=at(3))]

    (stage,) = build_run_report([make_stage_report(task=make_task())], task_times=times).stages

    assert (stage.scheduled_s, stage.queued_s) == (0, 0)


def test_a_task_of_several_stages_waited_once() -> None:
    reports = [make_stage_report(stage, task=make_task("stream"), pid=7) for stage in STAGES]
    times = [TaskTimes(task_id="stream", scheduled_at=at(-3), queued_at=at(-2), started_at=at(0))]

    report = build_run_report(reports, task_times=times)

    assert [stage.queued_s for stage in report.stages] == [2, None, None, None]


def test_names_come_from_the_task_or_from_the_caller() -> None:
    in_airflow = build_run_report([make_stage_report(task=make_task())], run_id="folder", dag_id="other")
    outside = build_run_report([make_stage_report()], run_id="folder", results_uri="r", quarantine_uri="q")

    assert (in_airflow.dag_id, in_airflow.run_id) == ("dag", "run")
    assert (outside.dag_id, outside.run_id) == (None, "folder")
    assert (outside.results_uri, outside.quarantine_uri) == ("r", "q")


def test_no_reports_is_an_error() -> None:
    with pytest.raises(ReportError, match="no stage reports"):
        build_run_report([])


def test_stages_of_no_duration_share_evenly() -> None:
    report = build_run_report(four_stages(0, 0, 0, 0))

    assert [stage.share for stage in report.stages] == [0.25] * 4
    assert [stage.items_per_s for stage in report.stages] == [0.0] * 4


seconds = st.floats(0, 1e5)
counts = st.integers(0, 10**9)
reports = st.builds(
    make_stage_report,
    st.sampled_from([*STAGES, "custom", "other"]),
    start=seconds,
    wall_s=seconds,
    shard=st.sampled_from([None, "0", "1", "2"]),
    task=st.none()
    | st.builds(
        make_task,
        st.sampled_from(["a", "b"]),
        map_index=st.integers(-1, 2),
        try_number=st.integers(1, 3),
    ),
    items_in=counts,
    items_out=counts,
    quarantined=counts,
    resumed_items=counts,
    pid=st.integers(0, 2),
    state=st.sampled_from(["success", "failed"]),
)


def attempt(report: StageReport) -> tuple[object, ...]:
    return report.stage, report.shard, report.task, report.started_at


@given(st.lists(reports, min_size=1, max_size=8, unique_by=attempt), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_any_reports_add_up(reports: list[StageReport], random: Random) -> None:
    report = build_run_report(reports)

    assert sum(stage.share for stage in report.stages) == pytest.approx(1)
    assert [stage.bottleneck for stage in report.stages].count(True) == 1
    assert report.bottleneck is not None
    assert report.bottleneck.share == max(stage.share for stage in report.stages)
    assert report.quarantined == sum(stage.quarantined for stage in report.stages)
    assert sum(stage.tasks for stage in report.stages) == len(report.tasks) <= len(reports)
    assert {stage.stage for stage in report.stages} == {item.stage for item in reports}
    assert all(stage.duration_s <= report.wall_s + 1e-6 for stage in report.stages)
    assert all(0 <= stage.resumed <= stage.items and stage.items_per_s >= 0 for stage in report.stages)
    known = [stage.stage for stage in report.stages if stage.stage in STAGES]
    assert known == [stage for stage in STAGES if stage in known]
    random.shuffle(reports)
    assert build_run_report(reports) == report


def test_what_the_cache_did_is_summed_up() -> None:
    reports = [
        make_stage_report("preprocess", shard=shard, cache_hits=3, cache_misses=2, cache_errors=1)
        for shard in ("00000", "00001")
    ]
    stage = build_run_report(reports).stages[0]

    assert (stage.cache_hits, stage.cache_misses, stage.cache_errors) == (6, 4, 2)
