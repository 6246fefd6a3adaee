"""The account of a whole run as an XCom of its last stage, for Airflow's own pages."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.airflow.context import RUN_REPORT_KEY
from airflow_provider_aiopt.airflow.reports import pull_reports

if TYPE_CHECKING:
    from airflow_provider_aiopt.telemetry.reports import StageReport

log = logging.getLogger(__name__)

_NEARLY_LAST = 16
"""A mapped task looks for the others' reports where at most so many of them have not succeeded yet: those
that end at the same moment do not see each other's state, but the last one sees all reports."""


def push_run_report(context: Mapping[str, Any], before: Sequence[str], own: Sequence[StageReport]) -> None:
    """Leave the account of the run: of this task, and of those before it that report.

    Of a mapped task each instance may be the last; those that find reports of all leave it.  What goes wrong
    costs the account and a warning, never the task: its results are committed.

    :param context: of the last stage of a pipeline, which has left its own reports
    :param before: ids of the tasks before it that may report
    :param own: what it reports itself
    """
    from airflow_provider_aiopt.advisor.diagnosis import diagnose
    from airflow_provider_aiopt.advisor.texts import advice
    from airflow_provider_aiopt.telemetry.run_digest import run_digest
    from airflow_provider_aiopt.telemetry.summary import build_run_report

    try:
        reports = _own_and_siblings(context, own)
        if reports is None:
            return
        earlier = [report for task_id in before for report in pull_reports(context["ti"], task_id)]
        report = build_run_report([*earlier, *reports])
        context["ti"].xcom_push(key=RUN_REPORT_KEY, value=run_digest(report, advice(diagnose(report))))
    except Exception:  # whatever Airflow's API answers
        log.warning("The run's report is not left as the XCom %s", RUN_REPORT_KEY, exc_info=True)


def _own_and_siblings(context: Mapping[str, Any], own: Sequence[StageReport]) -> Sequence[StageReport] | None:
    """Return the reports of all instances of the task, None where some are still missing."""
    instance = context["ti"]
    if instance.map_index is None or instance.map_index < 0:
        return own
    which = {"dag_id": instance.dag_id, "task_ids": [instance.task_id], "run_ids": [instance.run_id]}
    instances = instance.get_ti_count(**which)
    others = instances - 1 - instance.get_ti_count(**which, states=["success"])
    if others > _NEARLY_LAST:
        return None
    found = pull_reports(instance, instance.task_id) if instances > 1 else list(own)
    heard = {report.task.map_index for report in found if report.task}
    return found if len(heard) == instances else None
