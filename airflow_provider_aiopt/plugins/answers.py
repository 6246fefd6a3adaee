"""From what Airflow knows to the routes' answers: a few queries each, then pure functions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from airflow_provider_aiopt.advisor.diagnosis import diagnose
from airflow_provider_aiopt.advisor.texts import advice
from airflow_provider_aiopt.telemetry.reports import RunReport, StageReport
from airflow_provider_aiopt.telemetry.run_hardware import RunHardware, SampledTask, build_run_hardware
from airflow_provider_aiopt.telemetry.run_timings import build_run_timings, run_seconds
from airflow_provider_aiopt.telemetry.summary import build_run_report
from airflow_provider_aiopt.telemetry.timings import RunFacts, RunTimings, TaskFacts
from airflow_provider_aiopt.telemetry.trend import (
    LastRun,
    PipelineRow,
    Pipelines,
    Trend,
    TrendRun,
    build_trend,
)

TREND_RUNS = 20
"""Runs in the trend of a pipeline in the list of all."""

MOST_REPORTS = 4000
"""XComs that an answer over several runs reads at most, some 2 kB each: the newest runs' come first."""

MOST_ACCOUNTS = 2000
"""Hardware accounts that an answer reads at most, up to 4 kB each."""

_ENDED = ("success", "failed")


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run, and the key under which its reports are found.

    :param key: the records' own key of the run
    :param facts: what Airflow knows of it
    """

    key: int
    facts: RunFacts


@dataclass(slots=True)
class FoundReports:
    """The reports that the tasks of one run left.

    :param reports: those that could be read
    :param unreadable: how many could not
    """

    reports: list[StageReport] = field(default_factory=list)
    unreadable: int = 0


@dataclass(slots=True)
class FoundHardware:
    """The hardware accounts that the tasks of one run left.

    :param tasks: those that could be read
    :param unread: how many could not, or were too many
    """

    tasks: list[SampledTask] = field(default_factory=list)
    unread: int = 0


class Records(Protocol):
    """What the answers ask of Airflow."""

    def has_dag(self, dag_id: str) -> bool:
        """Tell whether there is a DAG of this id."""

    def run(self, dag_id: str, run_id: str) -> KnownRun | None:
        """Return a run, None where there is none of this id."""

    def last_runs(self, dag_ids: Collection[str], limit: int) -> Mapping[str, Sequence[KnownRun]]:
        """Return the last *limit* runs of each DAG that has any, newest first."""

    def tasks(self, dag_id: str, run_id: str) -> Sequence[TaskFacts]:
        """Return all task instances of a run."""

    def reports(self, keys: Collection[int]) -> Mapping[int, FoundReports]:
        """Return the reports of the runs of these keys that have any."""

    def report_counts(self, keys: Collection[int]) -> Mapping[int, int]:
        """Return how many XComs :meth:`reports` would read of each run."""

    def hardware(self, key: int, task_id: str | None, map_index: int | None, *, limit: int) -> FoundHardware:
        """Return the hardware accounts of a run's tasks, at most *limit*; None stands for all tasks."""

    def pipelines(self) -> Collection[str]:
        """Return the ids of all DAGs whose tasks have left reports."""


def timings_of(records: Records, dag_id: str, run_id: str, *, now: datetime) -> RunTimings | None:
    """Return a run's timings, None where there is no such run.

    :param records: what Airflow knows
    :param now: the time, for a run that has not ended
    """
    run = records.run(dag_id, run_id)
    if run is None:
        return None
    found = records.reports([run.key]).get(run.key, FoundReports())
    tasks = records.tasks(dag_id, run_id)
    return build_run_timings(
        run.facts,
        tasks,
        found.reports,
        now=now,
        unreadable=found.unreadable,
        advise=lambda report: advice(diagnose(report)),
    )


def hardware_of(
    records: Records, dag_id: str, run_id: str, *, task_id: str | None = None, map_index: int | None = None
) -> RunHardware | None:
    """Return how a run's machines were used over time, None where there is no such run.

    :param records: what Airflow knows
    :param task_id: one task; None for all
    :param map_index: one of its mapped tasks; None for all
    """
    run = records.run(dag_id, run_id)
    if run is None:
        return None
    found = records.hardware(run.key, task_id, map_index, limit=MOST_ACCOUNTS)
    tasks = records.tasks(dag_id, run_id) if found.tasks else ()
    return build_run_hardware(run.facts, tasks, found.tasks, unread=found.unread)


def trend_of(records: Records, dag_id: str, limit: int, *, now: datetime) -> Trend | None:
    """Return the trend of a DAG's last runs, None where there is no such DAG.

    Of runs with very many tasks only the newest have their stages, see :data:`MOST_REPORTS`.

    :param records: what Airflow knows
    :param limit: how many runs at most
    :param now: the time, for runs that have not ended
    """
    runs = records.last_runs([dag_id], limit).get(dag_id, ())
    if not runs and not records.has_dag(dag_id):
        return None
    reports = _run_reports(records, runs)
    return build_trend(dag_id, [_trend_run(run.facts, reports.get(run.key), now) for run in reversed(runs)])


def pipelines_of(records: Records, readable: Collection[str], limit: int, *, now: datetime) -> Pipelines:
    """Return the pipelines among the DAGs *readable*, those that ran last first.

    :param records: what Airflow knows
    :param readable: ids of the DAGs that may be shown
    :param limit: how many pipelines at most
    :param now: the time, for runs that have not ended
    """
    runs = records.last_runs(set(records.pipelines()).intersection(readable), TREND_RUNS)
    shown = sorted(runs.items(), key=lambda item: _began(item[1][0], now), reverse=True)[:limit]
    ended = {dag_id: run for dag_id, of_dag in shown if (run := _newest_ended(of_dag)) is not None}
    reports = _run_reports(records, list(ended.values()))
    return Pipelines(
        pipelines=tuple(
            _pipeline_row(dag_id, of_dag, reports.get(ended[dag_id].key) if dag_id in ended else None, now)
            for dag_id, of_dag in shown
        )
    )


def _newest_ended(runs: Sequence[KnownRun]) -> KnownRun | None:
    return next((run for run in runs if run.facts.state in _ENDED), None)


def _began(run: KnownRun, now: datetime) -> datetime:
    return run.facts.started_at or now


def _run_reports(records: Records, runs: Sequence[KnownRun]) -> dict[int, RunReport]:
    """Return the run reports of those of *runs*, in their order, that :data:`MOST_REPORTS` suffice for."""
    counts = records.report_counts([run.key for run in runs])
    keys, total = [], 0
    for run in runs:
        total += counts.get(run.key, 0)
        if total > MOST_REPORTS:
            break
        keys.append(run.key)
    found = records.reports(keys)
    return {key: build_run_report(item.reports) for key, item in found.items() if item.reports}


def _trend_run(facts: RunFacts, report: RunReport | None, now: datetime) -> TrendRun:
    return TrendRun(
        run_id=facts.run_id,
        state=facts.state,
        started_at=facts.started_at,
        wall_s=run_seconds(facts, now),
        records_in=report.records_in if report else 0,
        results=report.results if report else 0,
        quarantined=report.quarantined if report else 0,
        stages={stage.stage: stage.duration_s for stage in report.stages} if report else {},
    )


def _pipeline_row(
    dag_id: str, runs: Sequence[KnownRun], report: RunReport | None, now: datetime
) -> PipelineRow:
    newest = runs[0].facts
    return PipelineRow(
        dag_id=dag_id,
        pipeline=report.pipeline if report else dag_id,
        last_run=LastRun(
            run_id=newest.run_id,
            state=newest.state,
            started_at=newest.started_at,
            wall_s=run_seconds(newest, now),
        ),
        slowest_stage=report.bottleneck.stage if report and report.bottleneck else None,
        trend=tuple(run_seconds(run.facts, now) for run in reversed(runs) if run.facts.state in _ENDED),
    )
