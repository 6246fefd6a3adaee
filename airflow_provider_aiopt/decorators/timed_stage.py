"""A stage timing for any existing task, with one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.decorators.python import _PythonDecoratedOperator
from airflow.sdk import get_current_context
from airflow.sdk.bases.decorator import TaskDecorator, task_decorator_factory

from airflow_provider_aiopt.links.stage_timings import StageTimingsLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_aiopt.telemetry.recorder import StageRecorder


@contextmanager
def timed_stage(stage: str, *, workspace: str | None = None) -> Iterator[StageRecorder]:
    """Time a block of any Airflow task as a stage: a report in the run's workspace, and metrics.

    .. code-block:: python

        with timed_stage("resize") as stage:
            stage.items_out = resize(folder)

    :param stage: name of the stage
    :param workspace: folder or URL of the run; default ``[aiopt] work_dir`` / DAG id / run id
    :returns: the recorder; set its counts, or account for waiting with its ``phase("wait_input")``
    """
    from airflow_provider_aiopt.airflow.config import hardware_interval_s
    from airflow_provider_aiopt.airflow.context import open_workspace, push_report, task_identity
    from airflow_provider_aiopt.airflow.metrics import AirflowMetrics
    from airflow_provider_aiopt.telemetry.publish import publish_stage_report
    from airflow_provider_aiopt.telemetry.recorder import StageRecorder

    context = get_current_context()
    task = task_identity(context)
    folder = open_workspace(task, workspace).root  # before the work: its failure must not hide the work's own
    recorder = StageRecorder(task.dag_id, stage, task=task, hardware_interval_s=hardware_interval_s())
    try:
        with recorder:
            yield recorder
    finally:
        report = recorder.report()
        publish_stage_report(report, folder, AirflowMetrics())
        push_report(context, report)


class TimedStageOperator(_PythonDecoratedOperator):
    """Runs a Python function as a timed stage; see :func:`timed_stage_task`.

    :param stage: name of the stage; default the task's id
    """

    custom_operator_name = "@task.timed_stage"
    template_fields: Sequence[str] = (*_PythonDecoratedOperator.template_fields, "stage")
    operator_extra_links = (StageTimingsLink(),)

    def __init__(self, *, stage: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stage = stage

    def execute(self, context: Context) -> Any:
        """Call the function and time it."""
        from airflow_provider_aiopt.airflow.queueing import send_queue_time

        stage = self.stage or self.task_id
        send_queue_time(context, stage)
        with timed_stage(stage):
            return super().execute(context)


def timed_stage_task(
    python_callable: Callable[..., Any] | None = None, multiple_outputs: bool | None = None, **kwargs: Any
) -> TaskDecorator:
    """Make a Python function a task that is timed as a stage: ``@task.timed_stage(stage="resize")``.

    :param python_callable: the function
    :param multiple_outputs: whether a dict that it returns becomes several XComs
    """
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=TimedStageOperator,
        **kwargs,
    )
