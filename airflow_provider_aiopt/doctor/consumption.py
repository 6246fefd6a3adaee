"""What a pipeline took of its source, by the report of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from airflow_provider_aiopt.data.folder import FileSystemResolver, Folder
from airflow_provider_aiopt.telemetry.reports import RunReport
from airflow_provider_aiopt.telemetry.run_report import REPORTS, load_run_report

_READING = ("ingest",)
_MOST_RUNS = 5000


@dataclass(frozen=True, slots=True)
class Consumption:
    """How fast a run read its source.

    :param run: the run's workspace
    :param files_per_s: records read per second
    :param bytes_per_s: bytes of these
    :param waiting: share of the time in which it waited for the source, 0 to 1
    """

    run: str
    files_per_s: float
    bytes_per_s: float
    waiting: float


def consumption_of(report: RunReport, run: str) -> Consumption | None:
    """Return what a run took, None where its report does not tell."""
    for stage in report.stages:
        if stage.stage in _READING and stage.duration_s > 0 and stage.items > stage.resumed:
            share = stage.wait_input_s / stage.task_s if stage.task_s else 0.0
            return Consumption(run, stage.items_per_s, stage.bytes_in / stage.duration_s, share)
    return None


def find_consumption(
    run: str | None, work_dir: str | None, resolver: FileSystemResolver
) -> Consumption | None:
    """Return what the run took that the user names, else the last one below a local *work_dir*.

    :param run: a run's workspace
    :param work_dir: the folder of all workspaces
    :raises ReportError: if the run that was named has no reports
    :raises StorageError: if they cannot be read
    """
    found = run or (_last_run(work_dir) if work_dir else None)
    if found is None:
        return None
    return consumption_of(load_run_report(Folder.open(found, resolver=resolver)), found)


def _last_run(work_dir: str) -> str | None:
    """Return the workspace whose reports changed last; runs lie at ``work_dir/DAG id/run id``."""
    root = Path(work_dir)
    if "://" in work_dir or not root.is_dir():
        return None
    newest: tuple[float, Path] | None = None
    for number, reports in enumerate(root.glob(f"*/*/{REPORTS}")):
        if number >= _MOST_RUNS:
            break
        changed = reports.stat().st_mtime
        if newest is None or changed > newest[0]:
            newest = (changed, reports.parent)
    return str(newest[1]) if newest else None
