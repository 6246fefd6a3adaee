"""What Airflow knows of runs, tasks and reports, read from its metadata database.

The only module that knows Airflow's tables; docs/architecture.md says why it does.  A release that changes
them is met here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from pydantic import ValidationError
from sqlalchemy import Row, exists, func, select
from sqlalchemy.orm import Session

from airflow_provider_aiopt.airflow.context import HARDWARE_KEY, REPORT_KEY, REPORTS_KEY
from airflow_provider_aiopt.plugins.answers import FoundHardware, FoundReports, KnownRun
from airflow_provider_aiopt.telemetry.reports import StageReport, TaskIdentity
from airflow_provider_aiopt.telemetry.run_hardware import SampledTask
from airflow_provider_aiopt.telemetry.task_hardware import TaskHardware
from airflow_provider_aiopt.telemetry.timings import RunFacts, TaskFacts

_KEYS = (REPORT_KEY, REPORTS_KEY)

_KEY = XComModel.key.concat("")
"""An XCom's key, as no index has it: SQLite would take the index over keys alone, which leads to the reports
of every run that there ever was, instead of the primary key, which begins with the run."""

_CHUNK = 500  # parameters of one IN: every database takes so many

_STAGES = {
    "IngestOperator": "ingest",
    "PlanOperator": "ingest",
    "PreprocessOperator": "preprocess",
    "InferenceOperator": "inference",
    "PostprocessOperator": "postprocess",
}
"""The stage of each operator that runs one."""

_OWN_STAGES = ("KubernetesStageOperator", "PipelineOperator", "TimedStageOperator")
"""Operators whose tasks say in their reports which stages they ran."""

_RUN_COLUMNS = (
    DagRun.id,
    DagRun.dag_id,
    DagRun.run_id,
    DagRun.state.label("state"),
    DagRun.start_date,
    DagRun.end_date,
    DagRun.queued_at,
)


class AirflowRecords:
    """Reads Airflow's metadata database; see :class:`~airflow_provider_aiopt.plugins.answers.Records`.

    :param session: a session of it
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def has_dag(self, dag_id: str) -> bool:
        """Tell whether there is a DAG of this id."""
        return self._session.scalar(select(DagModel.dag_id).where(DagModel.dag_id == dag_id)) is not None

    def run(self, dag_id: str, run_id: str) -> KnownRun | None:
        """Return a run, None where there is none of this id."""
        statement = select(*_RUN_COLUMNS).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
        row = self._session.execute(statement).one_or_none()
        return None if row is None else _known_run(row)

    def last_runs(self, dag_ids: Collection[str], limit: int) -> Mapping[str, Sequence[KnownRun]]:
        """Return the last *limit* runs of each DAG that has any, newest first."""
        found: dict[str, list[KnownRun]] = {}
        for chunk in _chunks(dag_ids):
            newest_first = (DagRun.run_after.desc(), DagRun.id.desc())
            place = func.row_number().over(partition_by=DagRun.dag_id, order_by=newest_first)
            numbered = select(*_RUN_COLUMNS, place.label("place")).where(DagRun.dag_id.in_(chunk)).subquery()
            statement = select(numbered).where(numbered.c.place <= limit).order_by(numbered.c.place)
            for row in self._session.execute(statement):
                found.setdefault(row.dag_id, []).append(_known_run(row))
        return found

    def tasks(self, dag_id: str, run_id: str) -> Sequence[TaskFacts]:
        """Return all task instances of a run."""
        statement = select(
            TaskInstance.task_id,
            TaskInstance.map_index,
            TaskInstance.try_number,
            TaskInstance.scheduled_dttm,
            TaskInstance.queued_dttm,
            TaskInstance.start_date,
            TaskInstance.end_date,
            TaskInstance.state,
            TaskInstance.operator,
            TaskInstance.hostname,
            TaskInstance.pool,
        ).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        return [_task_facts(row) for row in self._session.execute(statement)]

    def reports(self, keys: Collection[int]) -> Mapping[int, FoundReports]:
        """Return the reports of the runs of these keys that have any."""
        found: dict[int, FoundReports] = {}
        for chunk in _chunks(keys):
            # By the run's key, which the table's primary key begins with.
            statement = select(
                XComModel.dag_run_id,
                XComModel.dag_id,
                XComModel.run_id,
                XComModel.task_id,
                XComModel.map_index,
                XComModel.key,
                XComModel.value,
            ).where(XComModel.dag_run_id.in_(chunk), _KEY.in_(_KEYS))
            for row in self._session.execute(statement):
                _add_reports(found.setdefault(row.dag_run_id, FoundReports()), row)
        return found

    def report_counts(self, keys: Collection[int]) -> Mapping[int, int]:
        """Return how many XComs :meth:`reports` would read of each run."""
        counts: dict[int, int] = {}
        for chunk in _chunks(keys):
            statement = (
                select(XComModel.dag_run_id, func.count())
                .where(XComModel.dag_run_id.in_(chunk), _KEY.in_(_KEYS))
                .group_by(XComModel.dag_run_id)
            )
            counts.update((key, count) for key, count in self._session.execute(statement))
        return counts

    def hardware(self, key: int, task_id: str | None, map_index: int | None, *, limit: int) -> FoundHardware:
        """Return the hardware accounts of a run's tasks, at most *limit*."""
        statement = select(XComModel.task_id, XComModel.map_index, XComModel.value).where(
            XComModel.dag_run_id == key, _KEY == HARDWARE_KEY
        )
        if task_id is not None:
            statement = statement.where(XComModel.task_id == task_id)
        if map_index is not None:
            statement = statement.where(XComModel.map_index == map_index)
        found = FoundHardware()
        for row in self._session.execute(statement):
            _add_hardware(found, row, limit)
        return found

    def pipelines(self) -> Collection[str]:
        """Return the ids of all DAGs whose tasks have left reports."""
        left = exists().where(XComModel.dag_id == DagModel.dag_id, XComModel.key.in_(_KEYS))
        return self._session.scalars(select(DagModel.dag_id).where(left)).all()


def _chunks(values: Collection[Any]) -> Iterable[list[Any]]:
    ordered = list(values)
    return (ordered[begin : begin + _CHUNK] for begin in range(0, len(ordered), _CHUNK))


def _known_run(row: Row[Any]) -> KnownRun:
    facts = RunFacts(
        dag_id=row.dag_id,
        run_id=row.run_id,
        state=str(row.state),
        started_at=row.start_date,
        ended_at=row.end_date,
        queued_at=row.queued_at,
    )
    return KnownRun(row.id, facts)


def _task_facts(row: Any) -> TaskFacts:
    own_stage = row.task_id if row.operator in _OWN_STAGES else None
    return TaskFacts(
        task_id=row.task_id,
        map_index=row.map_index,
        try_number=row.try_number,
        scheduled_at=row.scheduled_dttm,
        queued_at=row.queued_dttm,
        started_at=row.start_date,
        ended_at=row.end_date,
        state=row.state,
        stage=_STAGES.get(row.operator or "", own_stage),
        host=row.hostname or "",
        pool=row.pool,
    )


def _plain(value: Any) -> Any:
    """Return the JSON value of an XCom; no objects are made of it, as Airflow's own reader would."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None


def _add_hardware(found: FoundHardware, row: Row[Any], limit: int) -> None:
    """Add a task's hardware account to *found*, or count it where that is not possible."""
    try:
        use = None if len(found.tasks) >= limit else TaskHardware.model_validate(_plain(row.value))
    except ValidationError:
        use = None
    if use is None:
        found.unread += 1
    else:
        found.tasks.append(SampledTask(row.task_id, row.map_index, use))


def _add_reports(found: FoundReports, row: Row[Any]) -> None:
    """Add the reports of one XCom to *found*."""
    value = _plain(row.value)
    for item in value if row.key == REPORTS_KEY and isinstance(value, list) else [value]:
        try:
            report = StageReport.model_validate(item)
        except ValidationError:
            found.unreadable += 1
            continue
        # Whose it is says the table: a task may write what it likes into its XComs.
        task = {
            "dag_id": row.dag_id,
            "run_id": row.run_id,
            "task_id": row.task_id,
            "map_index": row.map_index,
            "try_number": report.task.try_number if report.task else 1,
        }
        found.reports.append(report.model_copy(update={"task": TaskIdentity(**task)}))
