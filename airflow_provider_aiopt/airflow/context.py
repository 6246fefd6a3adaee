"""From Airflow's task context to the run of a stage."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.airflow.config import hardware_interval_s, int_option, option
from airflow_provider_aiopt.airflow.filesystems import resolve_with_connection
from airflow_provider_aiopt.airflow.metrics import AirflowMetrics

if TYPE_CHECKING:
    from airflow_provider_aiopt.data.workspace import Workspace
    from airflow_provider_aiopt.runner.context import RunContext
    from airflow_provider_aiopt.spec.loading import SpecLike
    from airflow_provider_aiopt.telemetry.reports import RunReport, StageReport, TaskIdentity

log = logging.getLogger(__name__)

REPORT_KEY = "stage_report"
"""XCom key under which a task leaves its stage report."""

REPORTS_KEY = "stage_reports"
"""XCom key under which a task that ran several stages leaves their reports."""

ADVICE = "advice"
"""Key of the last stage's ``details`` under which its XCom says what limits the run."""

_XCOM_BYTES = 4096
_MOST_REPORTS = 200
_ERROR_LENGTH = 200


def task_identity(context: Mapping[str, Any]) -> TaskIdentity:
    """Return which task instance *context* belongs to."""
    from airflow_provider_aiopt.telemetry.reports import TaskIdentity

    instance = context["ti"]
    return TaskIdentity(
        dag_id=instance.dag_id,
        run_id=instance.run_id,
        task_id=instance.task_id,
        map_index=-1 if instance.map_index is None else instance.map_index,
        try_number=max(1, instance.try_number),
    )


def open_workspace(task: TaskIdentity, uri: str | None = None) -> Workspace:
    """Open the workspace of a task's DAG run.

    :param uri: where it is; default ``[aiopt] work_dir`` / DAG id / run id
    """
    from airflow_provider_aiopt.data.folder import Folder
    from airflow_provider_aiopt.data.workspace import Workspace

    if uri:
        return Workspace.open(uri, resolver=resolve_with_connection)
    base = Folder.open(option("work_dir"), resolver=resolve_with_connection)
    return Workspace(base.child(task.dag_id).child(task.run_id))


def run_context(context: Mapping[str, Any], spec: SpecLike, workspace: str | None) -> RunContext:
    """Build what a stage runs with from a task's context.

    :param spec: the operator's spec
    :param workspace: the operator's workspace, None for the default
    :raises SpecError: if the spec is wrong
    """
    from airflow_provider_aiopt.data.callables import split_prefixes
    from airflow_provider_aiopt.runner.context import RunContext
    from airflow_provider_aiopt.spec.loading import load_spec
    from airflow_provider_aiopt.telemetry.progress import LineProgress

    task = task_identity(context)
    return RunContext(
        spec=load_spec(spec),
        workspace=open_workspace(task, workspace),
        resolver=resolve_with_connection,
        metrics=AirflowMetrics(),
        task=task,
        allowed_callables=split_prefixes(option("allowed_callables")),
        max_shards=int_option("max_shards"),
        progress=LineProgress(log.info),
        hardware_interval_s=hardware_interval_s(),
    )


def advise_on_run(workspace: Workspace, report: StageReport) -> StageReport:
    """Log what limits the run that *report* ends, and return the report with that line in its details.

    Judged are the stages' own reports, without Airflow's times, which no task is told: the pages and
    ``aiopt report --explain --airflow-url`` know these as well.  Whatever goes wrong here costs a warning.

    :param workspace: the run's folder, with the reports of all stages
    :param report: the last stage's
    """
    from airflow_provider_aiopt.exceptions import AioptError
    from airflow_provider_aiopt.telemetry.run_report import REPORTS, load_run_report

    try:
        if len(workspace.root.child(REPORTS).names()) > _MOST_REPORTS:  # each is a read, perhaps of a bucket
            return report
        return _advised(load_run_report(workspace.root), report)
    except AioptError as error:
        log.warning("What limits the run is not known: %s", error)
        return report


def advise_on_stream(reports: Sequence[StageReport]) -> list[StageReport]:
    """Do the same for a task that streamed its share of a run, by what its own stages report.

    :param reports: the stages' reports in order
    """
    from airflow_provider_aiopt.telemetry.summary import build_run_report

    return [*reports[:-1], _advised(build_run_report(reports), reports[-1])]


def _advised(run: RunReport, report: StageReport) -> StageReport:
    from airflow_provider_aiopt.advisor.diagnosis import diagnose
    from airflow_provider_aiopt.advisor.texts import one_line

    line = one_line(diagnose(run))
    log.info("%s", line)
    return report.model_copy(update={"details": {**report.details, ADVICE: line}})


def push_report(context: Mapping[str, Any], report: StageReport) -> None:
    """Leave *report* as an XCom, for the Airflow UI; what would make it large stays in the workspace."""
    (small,) = _small([report])
    context["ti"].xcom_push(key=REPORT_KEY, value=small)


def push_reports(context: Mapping[str, Any], reports: Sequence[StageReport]) -> None:
    """Leave the reports of a task that ran several stages as one XCom, a list in the order of the stages."""
    context["ti"].xcom_push(key=REPORTS_KEY, value=_small(reports))


def _small(reports: Sequence[StageReport]) -> list[dict[str, Any]]:
    """Leave out, until they fit into one XCom, defaults, the hardware, and what makes reports large."""
    reports = [_without_series(report) for report in reports]
    compact = sum(map(_size, reports)) > _XCOM_BYTES
    if compact and sum(map(_compact_size, reports)) > _XCOM_BYTES:
        reports = [report.model_copy(update={"hardware": None}) for report in reports]
    for number in sorted(range(len(reports)), key=lambda number: -_compact_size(reports[number])):
        if compact and sum(map(_compact_size, reports)) > _XCOM_BYTES:
            reports[number] = _without_details(reports[number])
    return [report.model_dump(mode="json", exclude_defaults=compact) for report in reports]


def _size(report: StageReport) -> int:
    return len(report.model_dump_json().encode())


def _compact_size(report: StageReport) -> int:
    values = report.model_dump(mode="json", exclude_defaults=True)
    return len(json.dumps(values, ensure_ascii=False).encode())


def _without_series(report: StageReport) -> StageReport:
    """Leave out the hardware's series, several kB, and keep its levels."""
    hardware = report.hardware and report.hardware.without_series()
    return report.model_copy(update={"hardware": hardware})


def _without_details(report: StageReport) -> StageReport:
    from airflow_provider_aiopt.telemetry.reports import QUARANTINED_BY

    error = report.error and report.error[:_ERROR_LENGTH]
    details = {key: value for key, value in report.details.items() if key in {ADVICE, QUARANTINED_BY}}
    small = {"details": details, "batch_sizes": {}, "error": error, "evidence": None}
    return report.model_copy(update=small)
