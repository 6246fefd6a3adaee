"""The whole cluster, and what tests do to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from components import requires_program
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from urllib3.exceptions import HTTPError

from kubernetes_cluster.certificates import Authority
from kubernetes_cluster.control_plane import ControlPlane
from kubernetes_cluster.images import node_images
from kubernetes_cluster.machine import Machine, require_machine
from kubernetes_cluster.node import NAME, Node
from kubernetes_cluster.programs import kubernetes_programs
from kubernetes_cluster.registry import Registry

Object = dict[str, Any]

REGISTRY, SILENT_REGISTRY = "registry.test", "silent.test"
PULLED = f"{REGISTRY}/tools/shell:1"
"""The shell, where the node has to pull it from."""

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
_NOT_FOUND = 404
_TIMEOUT_S = 120.0
"""For what takes seconds: a machine that does much else may be slow."""


class Cluster:
    """Etcd, the control plane, one node and a registry, all of them real.

    :param folder: where their files go
    """

    def __init__(self, folder: Path) -> None:
        require_machine()
        etcd = requires_program("etcd", "apt-get install etcd-server")
        containerd = requires_program("containerd", "apt-get install containerd containernetworking-plugins")
        programs = kubernetes_programs()
        self.images = node_images()
        self.machine = Machine(folder)
        self._authority = Authority(folder)
        self._control_plane = ControlPlane(self.machine, programs, etcd, self._authority)
        self._node = Node(self.machine, programs / "kubelet", containerd, self.images.shell)
        self._stack = ExitStack()
        self.admin = self._control_plane.admin
        """A kubeconfig of whoever may do everything."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.machine)
            registry = Registry(self.images.layout, "tools/shell", self.machine.host_address)
            self._node.know_registry(REGISTRY, stack.enter_context(registry).url)
            self._node.know_registry(SILENT_REGISTRY, f"http://{self.machine.host_address}:1")
            self._node.start_containerd()
            self._control_plane.start()
            self.wait_for(self._node.runs_containers, "containerd answers")
            self._node.start_kubelet(self._authority, self._control_plane.url)
            self._node.import_images(self.images.archive)
            self.api = config.new_client_from_config(str(self.admin))
            stack.callback(self.api.close)
            self.core = client.CoreV1Api(self.api)
            self.policy = client.PolicyV1Api(self.api)
            self.rbac = client.RbacAuthorizationV1Api(self.api)
            self.wait_for(self._takes_pods, "the node takes pods")
            self._dynamic = DynamicClient(self.api, cache_file=str(self.machine.folder / "discovered.json"))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def wait_for(self, condition: Callable[[], Any], what: str, timeout: float = _TIMEOUT_S) -> Any:
        """Wait until *condition* is true, which an error of the API is not, and return what it gave."""
        deadline = time.monotonic() + timeout
        while True:
            self.machine.check()
            with suppress(ApiException, HTTPError):
                if found := condition():
                    return found
            if time.monotonic() > deadline:
                logs = "\n".join(self.machine.tail(name, 8) for name in ("kube-apiserver", "kubelet"))
                raise AssertionError(f"not within {timeout:.0f} s: {what}\n{logs}")
            time.sleep(0.05)

    def apply(self, objects: Iterable[Object], *, dry_run: bool = False) -> None:
        """Have the API server make objects.

        :param dry_run: whether it is to admit them and to go no further
        """
        for item in objects:
            resource = self._dynamic.resources.get(api_version=item["apiVersion"], kind=item["kind"])
            options = {"dry_run": "All"} if dry_run else {}
            resource.create(body=item, namespace=item["metadata"].get("namespace"), **options)

    def make_namespace(self, name: str, *, labels: Mapping[str, str] | None = None) -> None:
        """Make a namespace whose pods are held to the Pod Security Standard *restricted*."""
        metadata = {"name": name, "labels": {**RESTRICTED, **(labels or {})}}
        self.core.create_namespace({"metadata": metadata})
        find = self.core.read_namespaced_service_account
        self.wait_for(lambda: find("default", name), f"namespace {name} has its service account")

    def make_account(self, namespace: str, name: str) -> Path:
        """Make a service account and return a kubeconfig with a token of it."""
        self.core.create_namespaced_service_account(namespace, {"metadata": {"name": name}})
        made = self.core.create_namespaced_service_account_token(name, namespace, {"spec": {"audiences": []}})
        url = self._control_plane.url
        return self._authority.kubeconfig(f"{namespace}-{name}", url, {"token": made.status.token})

    def make_claim(self, namespace: str, name: str, folder: Path) -> None:
        """Make a claim, bound to a folder of this machine.

        :param name: unique in the whole cluster
        """
        size, modes = {"storage": "1Gi"}, ["ReadWriteMany"]
        volume = {
            "metadata": {"name": name},
            "spec": {
                "capacity": size,
                "accessModes": modes,
                "storageClassName": "",
                "hostPath": {"path": str(folder)},
                "claimRef": {"namespace": namespace, "name": name},
            },
        }
        claim = {
            "accessModes": modes,
            "storageClassName": "",
            "volumeName": name,
            "resources": {"requests": size},
        }
        self.core.create_persistent_volume(volume)
        self.core.create_namespaced_persistent_volume_claim(
            namespace, {"metadata": {"name": name}, "spec": claim}
        )
        find = self.core.read_namespaced_persistent_volume_claim
        self.wait_for(lambda: find(name, namespace).status.phase == "Bound", f"claim {name} is bound")

    def set_devices(self, resource: str, count: int) -> None:
        """Let the node have devices that are in no machine, as a device plugin would tell of them."""
        escaped = resource.replace("/", "~1")
        patch = [{"op": "add", "path": f"/status/capacity/{escaped}", "value": str(count)}]
        self.core.patch_node_status(NAME, patch)
        self.wait_for(
            lambda: self.core.read_node(NAME).status.allocatable.get(resource) == str(count),
            f"the node has {count} {resource}",
        )

    def wait_for_absence(self, read: Callable[..., Any], name: str, namespace: str) -> None:
        """Wait until an object is gone."""

        def gone() -> bool:
            try:
                read(name, namespace)
            except ApiException as error:
                return bool(error.status == _NOT_FOUND)
            return False

        self.wait_for(gone, f"{name} is gone")

    def make_priority(self, name: str, value: int) -> None:
        """Make a PriorityClass."""
        api = client.SchedulingV1Api(self.api)
        api.create_priority_class({"metadata": {"name": name}, "value": value})

    def evict(self, name: str, namespace: str) -> bool:
        """Ask for a pod to go, as whoever drains a node does."""
        body = {"metadata": {"name": name, "namespace": namespace}}
        self.core.create_namespaced_pod_eviction(name, namespace, body)
        return True

    def set_taints(self, taints: list[Object]) -> None:
        """Have the node repel pods, or, with none, take all again."""
        self.core.patch_node(NAME, {"spec": {"taints": taints}})

    def namespaces(self) -> set[str]:
        """The namespaces that there are."""
        return {item.metadata.name for item in self.core.list_namespace().items}

    def install_definitions(self, definitions: Iterable[Object]) -> None:
        """Make the API server know further kinds, unless it does."""
        api = client.ApiextensionsV1Api(self.api)
        for item in definitions:
            name = item["metadata"]["name"]
            with suppress(ApiException):
                api.create_custom_resource_definition(item)
            self.wait_for(lambda name=name: _established(api, name), f"{name} is known")
        self._dynamic.resources.invalidate_cache()

    def remove_pods(self, namespace: str) -> None:
        """Remove what pods are left, and wait until they are gone."""
        self.core.delete_collection_namespaced_pod(namespace, grace_period_seconds=0)
        self.wait_for(lambda: not self.core.list_namespaced_pod(namespace).items, "no pod is left")

    def pod(self, namespace: str, *, running: bool = False) -> Any:
        """Wait for the one pod of a namespace and return it.

        :param running: whether its containers are to run
        """

        def found() -> Any:
            pods = self.core.list_namespaced_pod(namespace).items
            return next((pod for pod in pods if not running or pod.status.phase == "Running"), None)

        return self.wait_for(found, f"a pod in {namespace}")

    def _takes_pods(self) -> bool:
        node = self.core.read_node(NAME)
        ready = any(item.type == "Ready" and item.status == "True" for item in node.status.conditions or ())
        return ready and not node.spec.taints


def _established(api: client.ApiextensionsV1Api, name: str) -> bool:
    conditions = api.read_custom_resource_definition(name).status.conditions or ()
    return any(item.type == "Established" and item.status == "True" for item in conditions)
