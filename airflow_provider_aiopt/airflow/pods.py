"""Pods for tasks that others launch: the KubernetesExecutor, and Kueue's jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.exceptions import MissingExtraError
from airflow_provider_aiopt.kubernetes.resources import PodResources

if TYPE_CHECKING:
    from kubernetes.client import V1Pod

    from airflow_provider_aiopt.spec.loading import SpecLike


def pod_override(resources: PodResources | Mapping[str, Any] | None = None) -> V1Pod:
    """Return what a task of the KubernetesExecutor needs of its pod.

    ::

        InferenceOperator(..., executor_config={"pod_override": pod_override({"gpus": 1, "memory": "16Gi"})})

    The pod keeps the worker's image, user and environment; the rest of *resources* is laid over it.

    :param resources: what the pod is given
    :raises MissingExtraError: if the extra ``kubernetes`` is not installed
    :raises ConfigurationError: if *resources* are wrong
    """
    from airflow_provider_aiopt.kubernetes.manifest import pod_overrides

    return _pod(pod_overrides(PodResources.read(resources or {}, "resources")))


def kueue_job(
    stage: str,
    spec: SpecLike,
    workspace: str,
    *,
    image: str,
    resources: PodResources | Mapping[str, Any] | None = None,
    shards: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the arguments by which Airflow's own ``KubernetesStartKueueJobOperator`` runs a stage as a job.

    ::

        KubernetesStartKueueJobOperator(
            task_id="pipeline", queue_name="gpus", **kueue_job("pipeline", spec, workspace, image=image)
        )

    A job is started anew by Kubernetes itself where its node is lost, and goes on after the last finished
    shard.  Its report is in the workspace; as XComs and metrics only ``KubernetesStageOperator`` hands it on.

    :param stage: as for ``KubernetesStageOperator``
    :param spec: the same
    :param workspace: the run's folder, which every run needs one of its own of: it may have Airflow's
        templates, such as ``s3://bucket/runs/{{ run_id }}``
    :param image: the runtime image
    :param resources: what the pod is given; Kueue's queue is the operator's ``queue_name``
    :param shards: references to the shards to work on
    :raises SpecError: if a pod cannot use the spec
    """
    from airflow_provider_aiopt.kubernetes.command import StageCommand, check_spec, spec_needs_file
    from airflow_provider_aiopt.kubernetes.manifest import stage_pod
    from airflow_provider_aiopt.spec.loading import load_spec
    from airflow_provider_aiopt.telemetry.reports import TaskIdentity

    pipeline = load_spec(spec)
    check_spec(pipeline)
    task = TaskIdentity(dag_id="{{ dag.dag_id }}", run_id="{{ run_id }}", task_id="{{ task.task_id }}")
    command = StageCommand(stage, pipeline, workspace, task, shards)
    spec_needs_file(command.spec_json, "argument")
    arguments = command.arguments(spec_file=False)
    pod = _pod(stage_pod(PodResources.read(resources or {}, "resources")))
    return {"image": image, "arguments": arguments, "full_pod_spec": pod}


def _pod(manifest: Mapping[str, Any]) -> V1Pod:
    try:
        from airflow_provider_aiopt.airflow.kubernetes_api import pod_of
    except ImportError as error:
        raise MissingExtraError("kubernetes", "kubernetes", "A pod") from error
    return pod_of(manifest)
