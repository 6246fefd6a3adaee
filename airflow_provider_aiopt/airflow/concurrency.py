"""What the ``[aiopt]`` options mean for a DAG: limits and where its tasks run.

::

    with DAG("photos", **run_limits(), default_args={**cpu_task_options()}):
        ...
        InferenceOperator.partial(task_id="inference", spec=SPEC, **inference_task_options())
"""

from __future__ import annotations

from typing import Any

from airflow_provider_aiopt.airflow.config import option
from airflow_provider_aiopt.deployment.options import ConcurrencyOptions, Placement


def run_limits() -> dict[str, Any]:
    """Return the arguments of a DAG that bound its runs and their tasks.

    :raises ConfigurationError: if an option is wrong
    """
    options = ConcurrencyOptions.read(option)
    limits = {"max_active_runs": options.max_active_runs}
    return limits | ({"max_active_tasks": options.max_active_tasks} if options.max_active_tasks else {})


def cpu_task_options() -> dict[str, Any]:
    """Return the arguments of tasks that use no GPU.

    :raises ConfigurationError: if an option is wrong
    """
    return _arguments(ConcurrencyOptions.read(option).cpu_tasks)


def inference_task_options() -> dict[str, Any]:
    """Return the arguments of tasks that run the model, on GPUs where the deployment has them.

    :raises ConfigurationError: if an option is wrong
    """
    return _arguments(ConcurrencyOptions.read(option).inference_tasks)


def _arguments(placement: Placement) -> dict[str, Any]:
    arguments: dict[str, Any] = {"pool": placement.pool, "pool_slots": placement.pool_slots}
    return arguments | ({"queue": placement.queue} if placement.queue else {})
