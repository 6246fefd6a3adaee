"""``KubernetesStageOperator`` on a real Kubernetes: docs/kubernetes-tests.md says what each test proves."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from components import requires
from helm_chart import Chart, helm_program
from kubernetes_cluster.cluster import Cluster, Object
from pipelines import Site, account

requires("airflow.providers.cncf.kubernetes", "make install")

from pod_tasks import PodTask  # noqa: E402  # needs the extra

from airflow_provider_aiopt.data.folder import Folder  # noqa: E402  # the same
from airflow_provider_aiopt.telemetry.reports import STAGES, StageReport  # noqa: E402  # the same

pytestmark = [
    pytest.mark.integration,
    pytest.mark.containers,
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    # The Kubernetes client leaves its connections to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

GPU = "nvidia.com/gpu"
GPUS = 2
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


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("kubernetes")) as made:
        made.set_devices(GPU, GPUS)
        yield made


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Chart:
    return Chart.copy(helm_program(), tmp_path_factory.mktemp("helm") / "airflow-provider-aiopt")


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


@pytest.fixture(scope="module")
def place(cluster: Cluster, chart: Chart) -> Place:
    """A namespace as ``helm install`` leaves it."""
    return make_place(cluster, "stages", chart.own())


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


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Eight photographs, one of them bad, and a model that answers their pixels."""
    tmp_path.chmod(0o775)  # for the pods' group
    os.chown(tmp_path, 0, 0)
    (tmp_path / "pod_code.py").write_text(CODE)
    made = Site(tmp_path)
    made.add_plain(7)
    made.add("broken.png", b"not a photograph")
    monkeypatch.setenv("AIRFLOW__AIOPT__WORK_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("AIRFLOW__AIOPT__ALLOWED_CALLABLES", "pod_code")
    return made


@pytest.fixture
def work(place: Place, site: Site) -> Work:
    return use(place, site)


def use(place: Place, site: Site) -> Work:
    """Bind a claim of a place to the site's folder."""
    claim = f"{site.folder.name.replace('_', '-').lower()}-{place.namespace}"
    place.cluster.make_claim(place.namespace, claim, site.folder)
    return Work(place, site, claim)


class TestStages:
    def test_a_pipeline_runs_in_a_pod(self, work: Work) -> None:
        task = work.task(pod_resources={"gpus": 1, "shared_memory": "64Mi"}, on_finish_action="keep_pod")
        assert task.run()["results"] == 7
        pod = work.place.cluster.pod(work.place.namespace)
        assert (pod.spec.node_name, pod.status.phase) == ("node", "Succeeded")
        (container,) = pod.spec.containers
        assert container.resources.limits == {"memory": "512Mi", GPU: "1"}
        found = account(work.workspace, work.workspace.child("results"))
        assert (len(found.rows), list(found.bad)) == (7, ["broken.png"])
        written = list((work.site.folder / "runs").rglob("*.parquet"))
        assert {(path.stat().st_uid, path.stat().st_gid) for path in written} == {(50000, 0)}
        reports = [StageReport.model_validate(item) for item in task.instance.xcoms["stage_reports"]]
        assert [report.stage for report in reports] == list(STAGES)
        timings = task.timings
        assert timings.pull_s == 0.0  # the node had the image
        parts = (timings.schedule_s, timings.start_s, timings.boot_s, timings.load_s, timings.run_s)
        assert None not in parts
        work.place.cluster.core.delete_namespaced_pod(pod.metadata.name, work.place.namespace)
