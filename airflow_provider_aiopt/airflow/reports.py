"""Stage reports that tasks left as XComs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.airflow.context import REPORT_KEY, REPORTS_KEY

if TYPE_CHECKING:
    from airflow_provider_aiopt.telemetry.reports import StageReport


def is_run_callback(context: Mapping[str, Any]) -> bool:
    """Return whether *context* is that of a DAG's callback, not of a task's.

    Airflow gives both a task instance, but only a DAG's callback the reason why the run ended.
    """
    return "reason" in context


def task_reports(context: Mapping[str, Any]) -> list[StageReport]:
    """Return what the task instance of *context* has reported, nothing where it runs no stage.

    :raises ReportError: if an XCom under the key of reports is none
    """
    instance = context["ti"]
    index = -1 if instance.map_index is None else instance.map_index
    values = [
        instance.xcom_pull(task_ids=instance.task_id, key=key, map_indexes=index)
        for key in (REPORT_KEY, REPORTS_KEY)
    ]
    return list(_parse(values))


def run_reports(context: Mapping[str, Any]) -> list[StageReport]:
    """Return what all tasks of the run have reported, mapped ones included.

    :param context: of a DAG's callback; without a task instance in it, as where the run's last task is no
        longer in the DAG, there is no way to the XComs
    :raises ReportError: if an XCom under the key of reports is none
    """
    instance = context.get("ti")
    if instance is None:
        return []
    task_ids = sorted(context["dag"].task_ids)
    return list(_parse([instance.xcom_pull(task_ids=task_ids, key=key) for key in (REPORT_KEY, REPORTS_KEY)]))


def pull_reports(instance: Any, task_id: str) -> list[StageReport]:
    """Return what all instances of one task of the run have reported, in one or two requests.

    :param instance: the running task instance
    :param task_id: this or another task
    :raises ReportError: if an XCom under the key of reports is none
    """
    for key in (REPORT_KEY, REPORTS_KEY):
        # A list of ids stands for all map indexes; one without the XCom answers with None.
        if found := list(_parse(instance.xcom_pull(task_ids=[task_id], key=key))):
            return found
    return []


def _parse(value: Any) -> Iterator[StageReport]:
    from pydantic import ValidationError

    from airflow_provider_aiopt.exceptions import ReportError
    from airflow_provider_aiopt.telemetry.faults import first_fault
    from airflow_provider_aiopt.telemetry.reports import StageReport

    if value is None:  # a task without a report
        return
    if isinstance(value, list):
        for item in value:
            yield from _parse(item)
        return
    try:
        yield StageReport.model_validate(value)
    except ValidationError as error:
        raise ReportError(
            f"The XCom {REPORT_KEY} or {REPORTS_KEY} of a task is no stage report: "
            f"{first_fault(error, 'the value')}. "
            "Keep these keys for the operators, and use the same version of this package everywhere"
        ) from error
