"""How long Airflow let a run's first tasks wait, as a metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_aiopt.airflow.metrics import AirflowMetrics
from airflow_provider_aiopt.telemetry.catalogue import TASK_QUEUED


def queued_s(context: Mapping[str, Any]) -> float | None:
    """Return how long a task has waited for a pool, an executor and a worker, in seconds.

    Airflow tells a task neither when it was scheduled nor when it was queued.  It tells when the run began,
    which is when those of its tasks that wait for no other task may start.

    :param context: the task's context
    :returns: None where it is not known: for tasks that wait for others, and for retries
    """
    task, instance = context.get("task"), context["ti"]
    if task is None or task.upstream_task_ids or instance.try_number > 1:
        return None
    began = getattr(context.get("dag_run"), "start_date", None)
    started = getattr(instance, "start_date", None)
    if began is None or started is None:
        return None
    waited: float = (started - began).total_seconds()
    return max(0.0, waited)  # whatever the machines' clocks say


def send_queue_time(context: Mapping[str, Any], stage: str) -> None:
    """Send how long a task has waited, where that is known.

    :param context: the task's context
    :param stage: the stage that it begins with
    """
    waited = queued_s(context)
    if waited is not None:
        instance = context["ti"]
        tags = {"dag_id": instance.dag_id, "task_id": instance.task_id, "stage": stage}
        AirflowMetrics().timing_ms(TASK_QUEUED, waited * 1000, tags)
