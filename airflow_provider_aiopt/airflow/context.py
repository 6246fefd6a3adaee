"""From Airflow's task context to the run of a stage."""

from __future__ import annotations

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
    from airflow_provider_aiopt.telemetry.reports import StageReport, TaskIdentity

log = logging.getLogger(__name__)

REPORT_KEY = "stage_report"
"""XCom key under which a task leaves its stage report."""

REPORTS_KEY = "stage_reports"
"""XCom key under which a task that ran several stages leaves their reports."""

_XCOM_BYTES = 4096
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


def push_report(context: Mapping[str, Any], report: StageReport) -> None:
    """Leave *report* as an XCom, for the Airflow UI; what would make it large stays in the workspace."""
    (small,) = _small([report])
    context["ti"].xcom_push(key=REPORT_KEY, value=small)


def push_reports(context: Mapping[str, Any], reports: Sequence[StageReport]) -> None:
    """Leave the reports of a task that ran several stages as one XCom, a list in the order of the stages."""
    context["ti"].xcom_push(key=REPORTS_KEY, value=_small(reports))


def _small(reports: Sequence[StageReport]) -> list[dict[str, Any]]:
    """Leave out, until they fit into one XCom, the hardware and then what makes single reports large."""
    reports = [_without_series(report) for report in reports]
    if sum(map(_size, reports)) > _XCOM_BYTES:
        reports = [report.model_copy(update={"hardware": None}) for report in reports]
    if sum(map(_size, reports)) > _XCOM_BYTES:
        each = _XCOM_BYTES // len(reports)
        reports = [_without_details(report) if _size(report) > each else report for report in reports]
    return [report.model_dump(mode="json") for report in reports]


def _size(report: StageReport) -> int:
    return len(report.model_dump_json().encode())


def _without_series(report: StageReport) -> StageReport:
    """Leave out the hardware's series, several kB, and keep its levels."""
    hardware = report.hardware and report.hardware.without_series()
    return report.model_copy(update={"hardware": hardware})


def _without_details(report: StageReport) -> StageReport:
    from airflow_provider_aiopt.telemetry.reports import PROFILE, QUARANTINED_BY

    error = report.error and report.error[:_ERROR_LENGTH]
    details = {key: value for key, value in report.details.items() if key == QUARANTINED_BY}
    if isinstance(profile := report.details.get(PROFILE), dict):  # where it lies; the rest is there, too
        details[PROFILE] = {key: value for key, value in profile.items() if key in {"kind", "uri", "files"}}
    return report.model_copy(update={"details": details, "batch_sizes": {}, "error": error})
