from __future__ import annotations

from typing import Any

from airflow_provider_aiopt.kubernetes.manifest import pod_overrides, spec_config_map, stage_pod
from airflow_provider_aiopt.kubernetes.resources import PodResources, Toleration

FULL = PodResources(
    gpus=2,
    cpu="4",
    cpu_limit="8",
    memory="16Gi",
    node_selector={"gpu": "h200"},
    tolerations=(Toleration(key="spot", operator="Equal", value="true", effect="NoSchedule"),),
    runtime_class="nvidia",
    shared_memory="1Gi",
    scratch="50Gi",
    model_cache="models",
    claims={"/data": "photographs"},
    service_account="reader",
    priority_class="batch",
    queue="gpus",
)


def only_container(manifest: dict[str, Any]) -> dict[str, Any]:
    (container,) = manifest["spec"]["containers"]
    found: dict[str, Any] = container
    return found


def test_gpus_are_limit_and_request_alike() -> None:
    amounts = only_container(stage_pod(FULL))["resources"]
    assert amounts == {
        "requests": {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "2"},
        "limits": {"cpu": "8", "memory": "16Gi", "nvidia.com/gpu": "2"},
    }
    assert only_container(stage_pod(PodResources()))["resources"]["limits"] == {"memory": "2Gi"}


def test_where_it_may_run() -> None:
    spec = stage_pod(FULL)["spec"]
    assert spec["nodeSelector"] == {"gpu": "h200"}
    assert spec["tolerations"] == [
        {"key": "spot", "operator": "Equal", "value": "true", "effect": "NoSchedule"},
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
    ]
    assert (spec["runtimeClassName"], spec["priorityClassName"]) == ("nvidia", "batch")
    assert stage_pod(FULL)["metadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "gpus"}


def test_every_mount_has_its_volume() -> None:
    manifest = stage_pod(FULL, config_map="its-spec")
    volumes = {item.pop("name"): item for item in manifest["spec"]["volumes"]}
    mounts = {item["mountPath"]: volumes[item["name"]] for item in only_container(manifest)["volumeMounts"]}
    assert mounts == {
        "/tmp": {"emptyDir": {"sizeLimit": "50Gi"}},
        "/dev/shm": {"emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
        "/var/cache/aiopt": {"persistentVolumeClaim": {"claimName": "models"}},
        "/data": {"persistentVolumeClaim": {"claimName": "photographs"}},
        "/etc/aiopt": {"configMap": {"name": "its-spec"}},
    }
    environment = {item["name"]: item for item in only_container(manifest)["env"]}
    assert environment["AIOPT_CACHE_DIR"]["value"] == "/var/cache/aiopt"


def test_scratch_may_be_a_volume_of_its_own() -> None:
    (volume,) = stage_pod(PodResources(scratch_class="fast"))["spec"]["volumes"]
    claim = volume["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert (claim["storageClassName"], claim["resources"]["requests"]) == ("fast", {"storage": "10Gi"})


def test_a_stage_may_do_no_more_than_it_needs_to() -> None:
    manifest = stage_pod(PodResources())
    container, spec = only_container(manifest)["securityContext"], manifest["spec"]
    assert container["readOnlyRootFilesystem"]
    assert not container["allowPrivilegeEscalation"]
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["restartPolicy"] == "Never"


def test_an_override_leaves_the_workers_own_pod_alone() -> None:
    manifest = pod_overrides(PodResources(gpus=1))
    assert only_container(manifest).keys() == {"name", "resources", "env", "volumeMounts"}
    assert manifest["spec"].keys() == {"containers", "volumes", "tolerations"}


def test_a_config_map_goes_with_its_pod() -> None:
    pod = {"metadata": {"name": "stage-x", "namespace": "ai", "uid": "0c7d"}}
    manifest = spec_config_map("its-spec", "{}", owner=pod)
    (owner,) = manifest["metadata"]["ownerReferences"]
    assert owner == {"apiVersion": "v1", "kind": "Pod", "name": "stage-x", "uid": "0c7d"}
    assert (manifest["metadata"]["namespace"], manifest["data"]) == ("ai", {"spec.json": "{}"})
