"""Stage reports as files of a run's workspace, and the run report that they add up to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from urllib.parse import quote, unquote

from pydantic import ValidationError

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.exceptions import ReportError
from airflow_provider_aiopt.telemetry.faults import first_fault
from airflow_provider_aiopt.telemetry.reports import RunReport, StageReport, TaskIdentity, TaskTimes
from airflow_provider_aiopt.telemetry.summary import build_run_report

REPORTS = "reports"
"""Name of the folder within a run's workspace that keeps its stage reports."""

_MAX_NAME = 200  # below the 255 bytes of common file systems, with room for a temporary suffix


def report_name(report: StageReport) -> str:
    """Return the file name of *report*, the same for every attempt at the same work.

    :param report: a stage report
    """
    return f"{work_name(report.stage, report.shard, report.task)}.json"


def work_name(stage: str, shard: str | None, task: TaskIdentity | None) -> str:
    """Return what files call a piece of work.

    The stage and the shard, or the task where there is no shard, are percent-encoded, so that the first
    hyphen always separates the two and different work never shares a file.

    :param stage: the stage's name
    :param shard: the shard worked on, None for several or none
    :param task: the Airflow task, None outside Airflow
    """
    if shard is not None:
        key = quote(shard, safe="")
    elif task is not None:
        mapped = f"~{task.map_index}" if task.map_index >= 0 else ""
        key = quote(task.task_id, safe="") + mapped
    else:
        key = "local"
    stem = f"{quote(stage, safe='').replace('-', '%2D')}-{key}"
    if len(stem) > _MAX_NAME:
        stem = f"{stem[: _MAX_NAME - 33]}~{hashlib.sha256(stem.encode()).hexdigest()[:32]}"
    return stem


def write_stage_report(folder: Folder, report: StageReport) -> str:
    """Write *report* atomically; a retry of the same work replaces the earlier attempt's report.

    :param folder: the run's workspace
    :param report: the finished stage
    :returns: the URI of the file
    :raises StorageError: if it cannot be written
    """
    reports, name = folder.child(REPORTS), report_name(report)
    reports.write(name, report.model_dump_json(indent=2).encode())
    return reports.uri_of(name)


def remove_stage_reports(folder: Folder, stages: Sequence[str]) -> None:
    """Remove the reports of *stages*: what they count is to be done again.

    :param folder: the run's workspace
    :param stages: names of stages
    :raises StorageError: if one cannot be removed
    """
    reports = folder.child(REPORTS)
    for name in reports.names():
        if unquote(name.partition("-")[0]) in stages:
            reports.remove(name)


def load_stage_reports(folder: Folder) -> tuple[StageReport, ...]:
    """Read all stage reports of a run, ordered by file name.

    :param folder: the run's workspace
    :returns: the reports, none where the run has not reported yet
    :raises ReportError: if a file is not a stage report
    :raises StorageError: if the folder cannot be read
    """
    reports = folder.child(REPORTS)
    return tuple(_load(reports, name) for name in reports.names() if name.endswith(".json"))


def load_run_report(
    folder: Folder, *, task_times: Sequence[TaskTimes] = (), queued_s: float | None = None
) -> RunReport:
    """Read the stage reports of a run and add them up.

    Where the results and the quarantine lie is taken from the entries ``results_uri`` and
    ``quarantine_uri`` of the stages' ``details``.

    :param folder: the run's workspace
    :param task_times: Airflow's own times of the run's tasks, from
        :class:`~airflow_provider_aiopt.telemetry.airflow_api.AirflowApi`
    :param queued_s: how long the DAG run waited until the scheduler began it, from there, too
    :raises ReportError: if there are no reports, or if one is not a stage report
    :raises StorageError: if the folder cannot be read
    """
    reports = load_stage_reports(folder)
    if not reports:
        raise ReportError(
            f"There are no stage reports in {folder.child(REPORTS).uri}. Check that this is the workspace of "
            "a run ([aiopt] work_dir / DAG id / run id) and that at least one of its stages has ended"
        )
    return build_run_report(
        reports,
        task_times=task_times,
        queued_s=queued_s,
        run_id=folder.uri.rsplit("/", 1)[-1],
        results_uri=_detail(reports, "results_uri"),
        quarantine_uri=_detail(reports, "quarantine_uri"),
    )


def _load(reports: Folder, name: str) -> StageReport:
    try:
        return StageReport.model_validate_json(reports.read(name))
    except ValidationError as error:
        raise ReportError(
            f"{reports.uri_of(name)} is not a stage report: {first_fault(error, 'the file')} "
            f"({error.error_count()} problems). Remove the file, or clear the stage's task so that it writes "
            "the report again; it may also come from a newer version of this package"
        ) from error


def _detail(reports: Sequence[StageReport], key: str) -> str | None:
    ordered = sorted(reports, key=lambda report: report.ended_at, reverse=True)
    return next((value for report in ordered if isinstance(value := report.details.get(key), str)), None)
