"""A run beside the earlier ones of its pipeline, which lie in a folder."""

from __future__ import annotations

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.telemetry.reports import RunReport
from airflow_provider_aiopt.telemetry.run_report import REPORTS, load_run_report
from airflow_provider_aiopt.telemetry.trend import with_history

MOST_RUNS = 40
"""Of a folder that are read: the last by name, which begin with the time in Airflow and in ``aiopt run``."""


def against_history(report: RunReport, folder: Folder) -> RunReport:
    """Return *report* with what was usual in earlier runs, and which stages have changed.

    Those that are still under way have not failed yet, and are like them left out.

    :param report: a run
    :param folder: has the workspaces of runs as sub-folders, this run's own among them or not
    :raises ReportError: if a report there is none
    :raises StorageError: if the folder cannot be read
    """
    names = [name for name in folder.folders() if name != report.run_id][-MOST_RUNS:]
    found = [folder.child(name) for name in names]
    earlier = [load_run_report(item) for item in found if item.child(REPORTS).names()]
    finished = [item for item in earlier if item.records_in == item.results + item.quarantined]
    return with_history(report, [item for item in finished if item.pipeline == report.pipeline])
