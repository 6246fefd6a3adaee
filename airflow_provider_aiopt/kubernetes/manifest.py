"""A stage's pod as a manifest, in the plain values of Kubernetes' JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_aiopt.kubernetes.resources import QUEUE_LABEL, PodResources

CONTAINER = "base"
"""Name of the stage's container, as Airflow's operators and executors have it."""

USER, GROUP = 50000, 0
"""Whom the runtime image runs as."""

SCRATCH_PATH = "/tmp"  # noqa: S108 - the pod's own, a volume of its own
CACHE_PATH = "/var/cache/aiopt"
SPEC_FOLDER = "/etc/aiopt"
SPEC_FILE = "spec.json"
POD_VARIABLE = "AIOPT_POD"
"""Holds the pod's name, which arguments may name as ``$(AIOPT_POD)``."""

CONTAINER_SECURITY: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
"""As the profile *restricted* of Kubernetes' Pod Security Standards wants it, and nothing written outside
volumes."""


def stage_pod(
    resources: PodResources, arguments: Sequence[str] = (), *, config_map: str | None = None
) -> dict[str, Any]:
    """Return the manifest of a pod that runs ``aiopt`` with *arguments*; it has neither name nor image.

    :param resources: what it is given
    :param arguments: its command line; ``$(VAR)`` is replaced by Kubernetes, see
        :func:`~airflow_provider_aiopt.kubernetes.command.literal`
    :param config_map: the ConfigMap that holds the spec, None where an argument does
    """
    manifest = pod_overrides(resources)
    spec, (container,) = manifest["spec"], manifest["spec"]["containers"]
    container["args"] = list(arguments)
    container["securityContext"] = CONTAINER_SECURITY
    container["env"] += [{"name": POD_VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    if config_map is not None:
        spec["volumes"].append({"name": "spec", "configMap": {"name": config_map}})
        container["volumeMounts"].append({"name": "spec", "mountPath": SPEC_FOLDER, "readOnly": True})
    spec["restartPolicy"] = "Never"
    spec["automountServiceAccountToken"] = False
    spec["securityContext"] = {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": GROUP,
        "fsGroup": GROUP,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return manifest


def pod_overrides(resources: PodResources) -> dict[str, Any]:
    """Return what *resources* alone means for a pod, whatever runs in it.

    :param resources: what it is given
    """
    volumes, mounts = _volumes(resources)
    caches = CACHE_PATH if resources.model_cache else f"{SCRATCH_PATH}/cache"
    container = {
        "name": CONTAINER,
        "resources": _amounts(resources),
        "env": [{"name": "AIOPT_CACHE_DIR", "value": caches}],
        "volumeMounts": mounts,
    }
    spec: dict[str, Any] = {
        "containers": [container],
        "volumes": volumes,
        "nodeSelector": dict(resources.node_selector),
        "tolerations": [item.model_dump(exclude_none=True) for item in resources.all_tolerations],
        "runtimeClassName": resources.runtime_class,
        "serviceAccountName": resources.service_account,
        "priorityClassName": resources.priority_class,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"labels": {QUEUE_LABEL: resources.queue} if resources.queue else {}},
        "spec": {key: value for key, value in spec.items() if value},
    }


def spec_config_map(name: str, spec: str, *, owner: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest of the ConfigMap that holds a pod's spec.

    It is removed with the pod, however that ends, so it has to be made after it; until then the pod's
    container waits for it.

    :param name: its name
    :param spec: the spec as JSON
    :param owner: the pod, as the API server has it
    """
    pod = owner["metadata"]
    reference = {"apiVersion": "v1", "kind": "Pod", "name": pod["name"], "uid": pod["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": pod["namespace"], "ownerReferences": [reference]},
        "immutable": True,
        "data": {SPEC_FILE: spec},
    }


def _amounts(resources: PodResources) -> dict[str, dict[str, str]]:
    requests = {"cpu": resources.cpu, "memory": resources.memory}
    limits = {"memory": resources.memory}
    if resources.cpu_limit is not None:
        limits["cpu"] = resources.cpu_limit
    if resources.gpus:
        limits[resources.gpu_resource] = requests[resources.gpu_resource] = str(resources.gpus)
    return {"requests": requests, "limits": limits}


def _volumes(resources: PodResources) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    volumes = [{"name": "scratch", **_scratch(resources)}]
    mounts = [{"name": "scratch", "mountPath": SCRATCH_PATH}]
    if resources.shared_memory is not None:
        shared = {"medium": "Memory", "sizeLimit": resources.shared_memory}
        volumes.append({"name": "shared-memory", "emptyDir": shared})
        mounts.append({"name": "shared-memory", "mountPath": "/dev/shm"})  # noqa: S108 - the pod's own
    named = {"model-cache": (CACHE_PATH, resources.model_cache)} if resources.model_cache else {}
    for number, (path, claim) in enumerate(resources.claims.items()):
        named[f"claim-{number}"] = (path, claim)
    for name, (path, claim) in named.items():
        volumes.append({"name": name, "persistentVolumeClaim": {"claimName": claim}})
        mounts.append({"name": name, "mountPath": path})
    return volumes, mounts


def _scratch(resources: PodResources) -> dict[str, Any]:
    if resources.scratch_class is None:
        return {"emptyDir": {"sizeLimit": resources.scratch}}
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": resources.scratch_class,
        "resources": {"requests": {"storage": resources.scratch}},
    }
    return {"ephemeral": {"volumeClaimTemplate": {"spec": claim}}}
