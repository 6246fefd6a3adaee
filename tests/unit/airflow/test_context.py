from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow_fakes import FakeTaskInstance, task_context

from airflow_provider_aiopt.airflow import context
from airflow_provider_aiopt.airflow.context import (
    HARDWARE_KEY,
    REPORT_KEY,
    REPORTS_KEY,
    advise_on_run,
    open_workspace,
    push_report,
    push_reports,
    run_context,
    task_identity,
)
from airflow_provider_aiopt.airflow.filesystems import resolve_with_connection
from airflow_provider_aiopt.airflow.metrics import AirflowMetrics
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.telemetry.hardware.models import HardwareSeries, HardwareUse, Level
from airflow_provider_aiopt.telemetry.hardware.points import LEVELS, RATES
from airflow_provider_aiopt.telemetry.reports import ADVICE, STAGES, StageReport
from airflow_provider_aiopt.telemetry.run_report import write_stage_report
from airflow_provider_aiopt.telemetry.testing import make_stage_report, make_task


@pytest.fixture(autouse=True)
def _work_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIOPT__WORK_DIR", "/shared/")


def test_the_identity_is_that_of_the_task_instance() -> None:
    instance = FakeTaskInstance("infer", map_index=3, try_number=2)
    assert task_identity(task_context(instance)) == make_task("infer", 3, 2)


def test_a_task_that_is_not_mapped_has_no_index_whatever_airflow_says() -> None:
    assert task_identity(task_context(FakeTaskInstance(map_index=None))).map_index == -1


def test_a_run_has_a_folder_of_its_own() -> None:
    assert open_workspace(make_task()).uri == "/shared/dag/run"
    assert open_workspace(make_task(), "/elsewhere/x").uri == "/elsewhere/x"


@pytest.mark.parametrize("work_dir", ["/shared", "memory://shared"])
def test_runs_whose_ids_begin_alike_stay_apart(work_dir: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow allows colons, two of which have a meaning in fsspec's URLs."""
    monkeypatch.setenv("AIRFLOW__AIOPT__WORK_DIR", work_dir)
    for run_id in ("a", "a::b", "a:b", "manual__2026-01-01T00:00:00+00:00"):
        workspace = open_workspace(make_task().model_copy(update={"run_id": run_id}))
        assert workspace.root.path == f"/shared/dag/{run_id}"
        assert workspace.run_id == run_id


def test_a_stage_runs_with_what_airflow_brings() -> None:
    spec = {"source": {"uri": "data"}, "model": {"uri": "m"}}
    run = run_context(task_context(), spec, None)
    assert run.workspace.uri == "/shared/dag/run"
    assert run.task == make_task()
    assert run.resolver is resolve_with_connection
    assert isinstance(run.metrics, AirflowMetrics)
    assert run.allowed_callables == ()
    assert run.hardware_interval_s == 1.0


def test_a_deployment_lists_what_a_spec_may_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIOPT__ALLOWED_CALLABLES", "pkg.datasets, other")
    run = run_context(task_context(), {"source": {"uri": "data"}, "model": {"uri": "m"}}, None)
    assert run.allowed_callables == ("pkg.datasets", "other")


def test_a_wrong_spec_is_refused() -> None:
    with pytest.raises(SpecError, match="source: missing"):
        run_context(task_context(), {"model": {"uri": "m"}}, None)


class TestReportXcom:
    def pushed(self, **fields: object) -> StageReport:
        instance = FakeTaskInstance()
        push_report(task_context(instance), make_stage_report(**fields))
        value = instance.xcoms[REPORT_KEY]
        assert len(json.dumps(value, ensure_ascii=False).encode()) < 4096
        return StageReport.model_validate(value)

    def test_a_usual_report_is_whole(self) -> None:
        fields = {"batch_sizes": {32: 5}, "details": {"results_uri": "/r"}}
        assert self.pushed(**fields) == make_stage_report(**fields)

    def test_what_makes_it_large_stays_in_the_workspace(self) -> None:
        report = self.pushed(
            batch_sizes=dict.fromkeys(range(1000), 1), details={"note": "x" * 5000}, items_out=7
        )
        assert (report.batch_sizes, report.details, report.items_out) == ({}, {}, 7)

    def test_why_records_are_in_quarantine_stays_with_it(self) -> None:
        report = self.pushed(details={"note": "x" * 5000, "quarantined_by": {"DecodeError": 2}})
        assert report.details == {"quarantined_by": {"DecodeError": 2}}

    def test_the_size_is_that_in_bytes(self) -> None:
        report = self.pushed(error="\N{SNOWMAN}" * 1000, state="failed", details={"note": "x" * 1300})
        assert report.error == "\N{SNOWMAN}" * 200

    def hardware(self, points: int) -> HardwareUse:
        level = Level(mean=12345.0, max=23456.0)
        values = tuple(float(n) for n in range(points))
        levels = dict.fromkeys((*RATES, *LEVELS), level)
        series = HardwareSeries(offsets_s=values, **dict.fromkeys(levels, values))
        return HardwareUse(interval_s=1.0, samples=points + 1, series=series, **levels)

    def test_of_the_hardware_the_levels_stay(self) -> None:
        hardware = self.hardware(120)
        report = self.pushed(hardware=hardware, details={"results_uri": "/r"})
        assert report.hardware == hardware.without_series()
        assert report.details == {"results_uri": "/r"}

    def test_they_go_before_the_details_do(self) -> None:
        details = {"note": "x" * 3500}
        report = self.pushed(hardware=self.hardware(1), details=details)
        assert (report.hardware, report.details) == (None, details)

    def test_defaults_go_before_anything_else_does(self) -> None:
        details = {"note": "x" * 2500}
        report = self.pushed(hardware=self.hardware(1), details=details)
        assert report.hardware is not None
        assert report.details == details

    def test_of_several_reports_the_largest_lose_their_details_first(self) -> None:
        instance = FakeTaskInstance()
        lengths = dict(zip(STAGES, (900, 1000, 1100, 1800), strict=True))
        push_reports(
            task_context(instance),
            [make_stage_report(stage, details={"note": "x" * lengths[stage]}) for stage in STAGES],
        )
        found = [StageReport.model_validate(report) for report in instance.xcoms[REPORTS_KEY]]
        assert [bool(report.details) for report in found] == [True, True, True, False]

    def test_the_reports_of_several_stages_fit_together(self) -> None:
        instance = FakeTaskInstance()
        notes = {"note": "x" * 3500}
        reports = [
            make_stage_report(stage, hardware=self.hardware(3), details=notes if stage == "inference" else {})
            for stage in STAGES
        ]
        push_reports(task_context(instance), reports)
        value = instance.xcoms[REPORTS_KEY]
        found = [StageReport.model_validate(report) for report in value]
        assert len(json.dumps(value)) <= 4100
        assert [(report.stage, report.hardware, report.details) for report in found] == [
            (stage, None, {}) for stage in STAGES
        ]

    def test_what_the_hardware_did_over_time_is_an_xcom_of_its_own(self) -> None:
        instance = FakeTaskInstance()
        series = HardwareSeries(offsets_s=(1.0, 2.0), cpu_cores=(0.5, 1.5))
        hardware = HardwareUse(interval_s=1.0, samples=3, series=series)
        push_report(
            task_context(instance), make_stage_report(hardware=hardware, task=make_task(try_number=2))
        )
        assert instance.xcoms[HARDWARE_KEY] == {
            "stages": ["inference"],
            "try_number": 2,
            "began_at": "2026-01-01T00:00:00Z",
            "offsets_s": [1.0, 2.0],
            "cpu_cores": [0.5, 1.5],
        }

    def test_without_samples_there_is_none(self) -> None:
        instance = FakeTaskInstance()
        push_reports(task_context(instance), [make_stage_report()])
        assert instance.xcoms.keys() == {REPORTS_KEY}

    def test_an_account_that_cannot_be_kept_costs_the_task_nothing(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        instance = FakeTaskInstance()
        series = HardwareSeries(offsets_s=(2.0, 1.0), cpu_cores=(0.5, 1.5))
        hardware = HardwareUse(interval_s=1.0, samples=3, series=series)
        push_report(task_context(instance), make_stage_report(hardware=hardware))
        assert instance.xcoms.keys() == {REPORT_KEY}
        assert "is not kept" in caplog.text


class TestAdviceAtTheEnd:
    def workspace(self, tmp_path: Path, reports: int) -> Workspace:
        workspace = Workspace.open(str(tmp_path))
        for number in range(reports):
            write_stage_report(workspace.root, make_stage_report("inference", shard=f"{number:05d}"))
        return workspace

    def test_it_is_in_the_log_and_in_the_report(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level("INFO"):
            report = advise_on_run(self.workspace(tmp_path, 2), make_stage_report("postprocess"))
        assert (
            report.details[ADVICE] == "Limited by inference (100.0 % of the run); nothing to change is known"
        )
        assert report.details[ADVICE] in caplog.messages

    def test_reports_that_cannot_be_read_cost_a_warning(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        report = make_stage_report("postprocess")
        assert advise_on_run(self.workspace(tmp_path, 0), report) == report
        assert "What limits the run is not known" in caplog.text
        assert "There are no stage reports" in caplog.text

    def test_very_many_are_not_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(context, "_MOST_REPORTS", 2)
        report = make_stage_report("postprocess")
        assert advise_on_run(self.workspace(tmp_path, 3), report) == report
