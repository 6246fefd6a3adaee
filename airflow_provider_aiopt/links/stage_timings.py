"""The button that leads from a task to the stage timings of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

from airflow_provider_aiopt.airflow.urls import run_timings_url

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class StageTimingsLink(BaseOperatorLink):
    """Leads to the stage timings of the task's run."""

    name = "Stage timings"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's
        """Return the address; Airflow asks when the task ends, on the worker.

        :param operator: the task
        :param ti_key: its task instance
        """
        return run_timings_url(ti_key.dag_id, ti_key.run_id)
