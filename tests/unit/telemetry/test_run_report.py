from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.exceptions import ReportError
from airflow_provider_aiopt.telemetry.reports import STAGES, TaskTimes
from airflow_provider_aiopt.telemetry.run_report import (
    load_run_report,
    load_stage_reports,
    report_name,
    write_stage_report,
)
from airflow_provider_aiopt.telemetry.testing import EPOCH, make_stage_report, make_task


@pytest.fixture
def workspace(tmp_path: Path) -> Folder:
    return Folder.open(str(tmp_path / "work" / "run-1"))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"shard": "00000"}, "inference-00000.json"),
        ({"shard": "00000", "task": make_task("infer", 3)}, "inference-00000.json"),
        ({"task": make_task("group.infer")}, "inference-group.infer.json"),
        ({"task": make_task("infer", 3)}, "inference-infer~3.json"),
        ({}, "inference-local.json"),
        ({"stage": "my-stage/..", "shard": "a/b"}, "my%2Dstage%2F..-a%2Fb.json"),
    ],
)
def test_name_tells_stage_and_work(fields: dict[str, object], name: str) -> None:
    assert report_name(make_stage_report(**fields)) == name


def test_name_is_the_same_for_every_attempt() -> None:
    names = {report_name(make_stage_report(task=make_task(try_number=attempt))) for attempt in (1, 2)}

    assert len(names) == 1


text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=300)


@given(st.lists(st.tuples(text, text), min_size=2, max_size=2, unique=True))
def test_names_of_different_shards_never_collide_and_fit_a_file_system(work: list[tuple[str, str]]) -> None:
    names = {report_name(make_stage_report(stage, shard=shard)) for stage, shard in work}

    assert len(names) == 2
    assert all(len(name) <= 210 and "/" not in name for name in names)


def test_reports_come_back_as_they_were_written(workspace: Folder) -> None:
    reports = [
        make_stage_report(stage, shard=shard, batch_sizes={32: 7}, details={"a": [1]})
        for stage in STAGES
        for shard in ("0", "1")
    ]

    uris = [write_stage_report(workspace, report) for report in reports]

    assert sorted(load_stage_reports(workspace), key=reports.index) == reports
    assert uris[0] == f"{workspace.uri}/reports/ingest-0.json"


def test_a_retry_replaces_its_report(workspace: Folder) -> None:
    write_stage_report(workspace, make_stage_report(task=make_task(), state="failed", error="E: x"))
    write_stage_report(workspace, make_stage_report(task=make_task(try_number=2)))

    (report,) = load_stage_reports(workspace)
    assert report.state == "success"


def test_run_report_of_a_workspace(workspace: Folder) -> None:
    write_stage_report(workspace, make_stage_report("ingest", items_in=3, items_out=3))
    details = {"results_uri": "s3://b/results", "quarantine_uri": "s3://b/quarantine"}
    write_stage_report(
        workspace, make_stage_report("postprocess", start=1, items_in=3, items_out=3, details=details)
    )

    report = load_run_report(workspace)

    assert (report.run_id, report.records_in, report.results) == ("run-1", 3, 3)
    assert (report.results_uri, report.quarantine_uri) == ("s3://b/results", "s3://b/quarantine")


def test_run_report_takes_airflow_times(workspace: Folder) -> None:
    write_stage_report(workspace, make_stage_report(task=make_task()))

    times = TaskTimes(task_id="task", scheduled_at=EPOCH, queued_at=EPOCH, started_at=EPOCH)
    report = load_run_report(workspace, task_times=[times])

    assert report.stages[0].queued_s == 0


def test_a_workspace_without_reports_says_where_it_looked(workspace: Folder) -> None:
    assert load_stage_reports(workspace) == ()
    with pytest.raises(ReportError, match=r"no stage reports in .*/run-1/reports\. Check that"):
        load_run_report(workspace)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"stage": "ingest"}', b"\xff\xfe"])
def test_a_corrupt_report_is_named_with_a_remedy(workspace: Folder, content: bytes) -> None:
    workspace.child("reports").write("ingest-0.json", content)

    with pytest.raises(
        ReportError, match=r"reports/ingest-0\.json is not a stage report: .* Remove the file"
    ):
        load_run_report(workspace)


def test_files_of_other_kinds_are_left_alone(workspace: Folder) -> None:
    workspace.child("reports").write("notes.txt", b"not a report")

    assert load_stage_reports(workspace) == ()
