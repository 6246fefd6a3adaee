"""Tasks of ``KubernetesStageOperator`` as Airflow would run them, against any Kubernetes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from airflow_fakes import FakeTaskInstance, task_context

from airflow_provider_aiopt import KubernetesStageOperator
from airflow_provider_aiopt import exceptions as errors
from airflow_provider_aiopt.kubernetes.timings import PodTimings


class PodTask:
    """A task as Airflow would run it.

    :param kubeconfig: by which it finds the cluster, and is known there
    :param stage: what it does
    :param spec: the pipeline
    :param store: what Airflow keeps for the task from one try to the next, None where it keeps nothing
    :param options: further parameters of the operator
    """

    def __init__(
        self, kubeconfig: Path, stage: str, spec: Any, *, store: TaskStore | None = None, **options: Any
    ) -> None:
        self.instance = FakeTaskInstance(
            options.get("task_id", stage), try_number=options.pop("try_number", 1)
        )
        defaults = {"config_file": str(kubeconfig), "kubernetes_conn_id": None, "task_id": stage}
        fast = {"startup_check_interval_seconds": 0.05, "base_container_status_polling_interval": 0.1}
        self.operator = KubernetesStageOperator(stage=stage, spec=spec, **defaults | fast | options)
        dag = SimpleNamespace(dag_id="dag")
        self.context: Any = task_context(self.instance) | {"run_id": "run", "dag": dag, "task": None}
        if store is not None:
            self.context["task_state_store"] = store

    def run(self) -> Any:
        return self.operator.execute(self.context)

    def finish_in_triggerer(self, kubeconfig: Path | None = None) -> Any:
        """Run a deferrable task to its end.

        :param kubeconfig: by which the triggerer is known, None for the worker's own
        """
        with pytest.raises(TaskDeferred) as caught:
            self.run()
        trigger = caught.value.trigger
        if kubeconfig:
            trigger.config_dict = yaml.safe_load(kubeconfig.read_text())

        async def event() -> Any:
            return await anext(trigger.run())

        fired = asyncio.run(event())
        return self.operator.trigger_reentry(self.context, fired.payload)

    @property
    def timings(self) -> PodTimings:
        return PodTimings.model_validate(self.instance.xcoms["pod_timings"])


class TaskStore(dict[str, Any]):
    """What Airflow 3.3 keeps for a task."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


def only_failure(task: PodTask, kind: type[Exception], message: str) -> Exception:
    """The task fails so that Airflow tries it again."""
    with pytest.raises(kind, match=message) as caught:
        task.run()
    return caught.value


def in_vain(task: PodTask, kind: type[errors.PodError], message: str) -> None:
    """The task fails at once, whatever retries it has."""
    error = only_failure(task, AirflowFailException, f"(?s){kind.__name__}: {message}")
    assert isinstance(error.__cause__, kind)
