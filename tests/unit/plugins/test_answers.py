from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from advisor_reports import SICK

from airflow_provider_aiopt.plugins import answers
from airflow_provider_aiopt.plugins.answers import (
    FoundHardware,
    FoundReports,
    KnownRun,
    hardware_of,
    pipelines_of,
    timings_of,
    trend_of,
)
from airflow_provider_aiopt.telemetry.reports import STAGES
from airflow_provider_aiopt.telemetry.run_hardware import SampledTask
from airflow_provider_aiopt.telemetry.task_hardware import TaskHardware
from airflow_provider_aiopt.telemetry.testing import EPOCH, make_stage_report, make_task
from airflow_provider_aiopt.telemetry.timings import RunFacts, TaskFacts


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


NOW = at(1000)


class FakeRecords:
    """An Airflow of which the tests say what it knows."""

    def __init__(self) -> None:
        self.dags: set[str] = set()
        self.runs: list[KnownRun] = []
        self.found: dict[int, FoundReports] = {}
        self.facts: list[TaskFacts] = []
        self.asked_reports: list[int] = []
        self.samples = FoundHardware()
        self.asked_hardware: tuple[int, str | None, int | None] | None = None

    def add(
        self, dag_id: str, number: int, *, state: str = "success", wall_s: float = 10.0, **stages: float
    ) -> None:
        ended = at(number + wall_s) if state in {"success", "failed"} else None
        facts = RunFacts(
            dag_id=dag_id, run_id=f"run-{number}", state=state, started_at=at(number), ended_at=ended
        )
        key = len(self.runs)
        self.dags.add(dag_id)
        self.runs.append(KnownRun(key, facts))
        if stages:
            reports = [
                make_stage_report(name, wall_s=seconds, task=make_task(name), pipeline=f"{dag_id} pipeline")
                for name, seconds in stages.items()
            ]
            self.found[key] = FoundReports(reports)

    def has_dag(self, dag_id: str) -> bool:
        return dag_id in self.dags

    def run(self, dag_id: str, run_id: str) -> KnownRun | None:
        return next((r for r in self.runs if (r.facts.dag_id, r.facts.run_id) == (dag_id, run_id)), None)

    def last_runs(self, dag_ids: Collection[str], limit: int) -> Mapping[str, Sequence[KnownRun]]:
        found = {
            dag_id: [run for run in reversed(self.runs) if run.facts.dag_id == dag_id][:limit]
            for dag_id in dag_ids
        }
        return {dag_id: runs for dag_id, runs in found.items() if runs}

    def tasks(self, dag_id: str, run_id: str) -> Sequence[TaskFacts]:
        return self.facts

    def reports(self, keys: Collection[int]) -> Mapping[int, FoundReports]:
        self.asked_reports = list(keys)
        return {key: self.found[key] for key in keys if key in self.found}

    def report_counts(self, keys: Collection[int]) -> Mapping[int, int]:
        return {key: len(self.found[key].reports) for key in keys if key in self.found}

    def hardware(self, key: int, task_id: str | None, map_index: int | None, *, limit: int) -> FoundHardware:
        self.asked_hardware = (key, task_id, map_index)
        return self.samples

    def pipelines(self) -> Collection[str]:
        return {run.facts.dag_id for run in self.runs if run.key in self.found}


@pytest.fixture
def records() -> FakeRecords:
    return FakeRecords()


class TestRun:
    def test_reports_and_tasks_are_put_together(self, records: FakeRecords) -> None:
        records.add("dag", 1, ingest=2)
        records.found[0].unreadable = 1
        records.facts = [TaskFacts(task_id="ingest", stage="ingest", state="success")]

        timings = timings_of(records, "dag", "run-1", now=NOW)

        assert timings is not None
        assert [stage.duration_s for stage in timings.stages] == [2]
        assert (timings.pipeline, timings.wall_s) == ("dag pipeline", 10)
        assert "1 reports could not be read" in timings.notes[0]

    def test_the_advisor_says_what_to_change(self, records: FakeRecords) -> None:
        records.add("dag", 1, ingest=1)
        records.found[0] = FoundReports(
            [
                report.model_copy(update={"task": make_task(report.stage)})
                for report in SICK["preprocessing.workers"]().tasks
            ]
        )
        records.facts = [TaskFacts(task_id=stage, stage=stage, state="success") for stage in STAGES]

        timings = timings_of(records, "dag", "run-1", now=NOW)

        assert timings is not None
        assert "execution.workers = 4 (now 1)" in timings.advice[0].text

    @pytest.mark.parametrize(("dag_id", "run_id"), [("dag", "run-2"), ("other", "run-1")])
    def test_there_is_none_of_another_name(self, records: FakeRecords, dag_id: str, run_id: str) -> None:
        records.add("dag", 1)
        assert timings_of(records, dag_id, run_id, now=NOW) is None


class TestHardware:
    def test_accounts_and_tasks_are_put_together(self, records: FakeRecords) -> None:
        records.add("dag", 1)
        use = TaskHardware(stages=("ingest",), began_at=at(2), offsets_s=(1,), cpu_cores=(1.5,))
        records.samples = FoundHardware([SampledTask("ingest", 0, use)], unread=3)
        records.facts = [TaskFacts(task_id="ingest", map_index=0)]

        found = hardware_of(records, "dag", "run-1", task_id="ingest", map_index=0)

        assert found is not None
        assert records.asked_hardware == (0, "ingest", 0)
        assert ([curve.cpu_cores for curve in found.curves], found.unread) == ([(1.5,)], 3)

    def test_there_is_none_of_an_unknown_run(self, records: FakeRecords) -> None:
        assert hardware_of(records, "dag", "run-1") is None


class TestTrend:
    def test_runs_come_oldest_first_with_their_stages(self, records: FakeRecords) -> None:
        for number in range(10):
            records.add("dag", number, ingest=1, inference=3 if number == 9 else 1)

        trend = trend_of(records, "dag", 9, now=NOW)

        assert trend is not None
        assert [run.run_id for run in trend.runs] == [f"run-{number}" for number in range(1, 10)]
        assert trend.runs[-1].stages == {"ingest": 1, "inference": 3}
        assert {name: stage.change for name, stage in trend.stages.items()} == {
            "ingest": None,
            "inference": "slower",
        }

    def test_a_running_run_is_among_them(self, records: FakeRecords) -> None:
        records.add("dag", 900, state="running")
        trend = trend_of(records, "dag", 5, now=NOW)
        assert trend is not None
        assert (trend.runs[0].state, trend.runs[0].wall_s) == ("running", 100)

    def test_a_dag_without_runs_has_an_empty_one(self, records: FakeRecords) -> None:
        records.dags.add("dag")
        trend = trend_of(records, "dag", 5, now=NOW)
        assert trend is not None
        assert trend.runs == ()

    def test_an_unknown_dag_has_none(self, records: FakeRecords) -> None:
        assert trend_of(records, "dag", 5, now=NOW) is None

    def test_so_many_reports_are_read_and_no_more(
        self, records: FakeRecords, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(answers, "MOST_REPORTS", 5)
        for number in range(4):
            records.add("dag", number, ingest=1, inference=1)

        trend = trend_of(records, "dag", 10, now=NOW)

        assert trend is not None
        assert records.asked_reports == [3, 2]
        assert [bool(run.stages) for run in trend.runs] == [False, False, True, True]


class TestPipelines:
    def rows(self, records: FakeRecords, readable: Collection[str], limit: int = 10) -> list[dict[str, Any]]:
        return [row.model_dump() for row in pipelines_of(records, readable, limit, now=NOW).pipelines]

    def test_only_dags_that_report_and_may_be_read(self, records: FakeRecords) -> None:
        records.add("mine", 1, ingest=1)
        records.add("secret", 2, ingest=1)
        records.add("plain", 3)
        assert [row["dag_id"] for row in self.rows(records, {"mine", "plain"})] == ["mine"]
        assert self.rows(records, set()) == []

    def test_those_that_ran_last_come_first_and_no_more_than_asked_for(self, records: FakeRecords) -> None:
        for number, name in enumerate(["a", "c", "b"]):
            records.add(name, number, ingest=1)
        assert [row["dag_id"] for row in self.rows(records, {"a", "b", "c"}, 2)] == ["b", "c"]

    def test_the_slowest_stage_is_that_of_the_newest_ended_run(self, records: FakeRecords) -> None:
        records.add("dag", 1, wall_s=4, ingest=9)
        records.add("dag", 2, wall_s=5, inference=2, ingest=1)
        records.add("dag", 990, state="running")

        (row,) = self.rows(records, {"dag"})

        assert (row["slowest_stage"], row["pipeline"]) == ("inference", "dag pipeline")
        assert row["last_run"] == {
            "run_id": "run-990",
            "state": "running",
            "started_at": at(990),
            "wall_s": 10,
        }
        assert row["trend"] == (4, 5)

    def test_where_it_has_not_reported_there_is_none(self, records: FakeRecords) -> None:
        records.add("dag", 1, ingest=1)
        records.add("dag", 2, state="failed")
        (row,) = self.rows(records, {"dag"})
        assert (row["slowest_stage"], row["pipeline"]) == (None, "dag")
