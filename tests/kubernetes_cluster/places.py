"""Namespaces as ``helm install`` leaves them, and pipelines that run there."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pipelines import Site
from pod_tasks import PodTask

from airflow_provider_aiopt.data.folder import Folder
from kubernetes_cluster.cluster import Cluster, Object

SMALL = {"cpu": "100m", "memory": "512Mi"}
CODE = '''
import pathlib, time

def photographs(folder, wait_for="", memory=0, disk=0):
    """Yield photographs, after what is to go wrong first."""
    held = bytearray(b"x") * memory
    pathlib.Path("/tmp/full").write_bytes(bytes(disk))
    while wait_for and not pathlib.Path(wait_for).exists():
        time.sleep(0.05)
    return [path.read_bytes() for path in sorted(pathlib.Path(folder).glob("*.png"))]
'''
"""A data set of the tests' own, which pods import from their work folder."""


@dataclass
class Place:
    """A namespace with the chart's objects in it, and who works there.

    :param worker: a kubeconfig of Airflow's worker
    :param triggerer: one of Airflow's triggerer
    """

    cluster: Cluster
    namespace: str
    worker: Path
    triggerer: Path


def make_place(cluster: Cluster, namespace: str, objects: Sequence[Object]) -> Place:
    """Make a namespace with what the chart has for it, but for its job, whose image is not here."""
    cluster.make_namespace(namespace)
    worker, triggerer = (cluster.make_account(namespace, f"prod-{who}") for who in ("worker", "triggerer"))
    cluster.apply(moved(objects, namespace))
    return Place(cluster, namespace, worker, triggerer)


def moved(objects: Sequence[Object], namespace: str) -> list[Object]:
    """The same objects for another namespace, without jobs and what only an operator knows."""
    found = [
        copy.deepcopy(item)
        for item in objects
        if item["kind"] not in ("Job", "ServiceMonitor", "PrometheusRule")
    ]
    for item in found:
        item["metadata"]["namespace"] = namespace
        for subject in item.get("subjects", ()):
            subject["namespace"] = namespace
    return found


@dataclass
class Work:
    """A pipeline over photographs that pods and Airflow reach under the same name."""

    place: Place
    site: Site
    claim: str

    def task(self, stage: str = "pipeline", spec: Any = None, **options: Any) -> PodTask:
        """A task of the chart's worker, whose pod has the work folder."""
        resources = SMALL | {"claims": {str(self.site.folder): self.claim}} | options.pop("pod_resources", {})
        defaults = {
            "namespace": self.place.namespace,
            "image": self.place.cluster.images.runtime,
            "pod_resources": resources,
            "env_vars": {"PYTHONPATH": str(self.site.folder)},
        }
        known = options.pop("kubeconfig", self.place.worker)
        return PodTask(known, stage, spec or self.site.spec, **defaults | options)

    def spec(self, **arguments: Any) -> dict[str, Any]:
        """The pipeline over the data set of :data:`CODE`, of which something is asked."""
        source = {"format": "python", "uri": "python:pod_code.photographs"}
        given = {"folder": str(self.site.photos)} | arguments
        return self.site.spec | {"source": source | {"arguments": given}}

    @property
    def workspace(self) -> Folder:
        return Folder.open(str(self.site.folder / "runs" / "dag" / "run"))


def use(place: Place, site: Site) -> Work:
    """Bind a claim of a place to the site's folder."""
    claim = f"{site.folder.name.replace('_', '-').lower()}-{place.namespace}"
    place.cluster.make_claim(place.namespace, claim, site.folder)
    return Work(place, site, claim)


def account_without(place: Place, lacking: set[tuple[str, str]]) -> Path:
    """Make a service account that may do what the chart's worker may, but for these."""
    name = "without-" + "-".join(sorted(f"{resource}-{verb}".replace("/", "-") for resource, verb in lacking))
    api = place.cluster.rbac
    rules = api.read_namespaced_role("prod-aiopt-launcher", place.namespace).rules
    left = [
        {"apiGroups": [""], "resources": [resource], "verbs": verbs}
        for rule in rules
        for resource in rule.resources
        if (verbs := [verb for verb in rule.verbs if (resource, verb) not in lacking])
    ]
    api.create_namespaced_role(place.namespace, {"metadata": {"name": name}, "rules": left})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": place.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    binding = {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]}
    api.create_namespaced_role_binding(place.namespace, binding)
    return place.cluster.make_account(place.namespace, name)


class Beside:
    """Does something in a thread of its own beside a task, and says how long it took."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._act = act
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        if self._error:
            raise self._error

    def _run(self) -> None:
        began = time.monotonic()
        try:
            self._act()
        except BaseException as error:  # noqa: BLE001  # it is raised where the tests see it
            self._error = error
        self.seconds = time.monotonic() - began
