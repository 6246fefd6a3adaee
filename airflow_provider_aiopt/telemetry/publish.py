"""Handing a finished stage's report on."""

from __future__ import annotations

import logging

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.exceptions import StorageError
from airflow_provider_aiopt.telemetry.metrics import MetricsSink, emit_stage_report
from airflow_provider_aiopt.telemetry.reports import StageReport
from airflow_provider_aiopt.telemetry.run_report import write_stage_report

log = logging.getLogger(__name__)


def publish_stage_report(report: StageReport, workspace: Folder, metrics: MetricsSink) -> None:
    """Write a report into the run's workspace and send its metrics.

    A report that cannot be written costs a warning: it must not hide how the stage itself ended.

    :param report: the finished stage, successful or failed
    :param workspace: the run's folder
    :param metrics: where the metrics go
    """
    try:
        write_stage_report(workspace, report)
    except StorageError as error:
        log.warning("The report of stage %s was not written: %s", report.stage, error)
    emit_stage_report(report, metrics)
