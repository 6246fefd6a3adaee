"""``KubernetesStageOperator`` on a real Kubernetes: docs/kubernetes-tests.md says what each test proves."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from components import requires
from helm_chart import ALL_ON, CASES, Chart, definitions, helm_program
from pipelines import Site, account

requires("airflow.providers.cncf.kubernetes", "make install")

from kubernetes.client import V1EnvFromSource, V1SecretEnvSource  # noqa: E402  # needs the extra
from kubernetes.client.exceptions import ApiException  # noqa: E402  # the same
from kubernetes_cluster.cluster import PULLED, REGISTRY, SILENT_REGISTRY, Cluster  # noqa: E402  # the same
from kubernetes_cluster.places import CODE, Beside, Place, Work, account_without, make_place, use  # noqa: E402
from pod_tasks import PodTask, TaskStore, in_vain, only_failure  # noqa: E402  # the same

from airflow_provider_aiopt import exceptions as errors  # noqa: E402  # the same
from airflow_provider_aiopt import pod_override  # noqa: E402  # the same
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


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("kubernetes")) as made:
        made.set_devices(GPU, GPUS)
        yield made


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Chart:
    return Chart.copy(helm_program(), tmp_path_factory.mktemp("helm") / "airflow-provider-aiopt")


@pytest.fixture(scope="module")
def place(cluster: Cluster, chart: Chart) -> Place:
    """A namespace as ``helm install`` leaves it."""
    return make_place(cluster, "stages", chart.own())


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
def work(place: Place, site: Site) -> Iterator[Work]:
    yield use(place, site)
    place.cluster.remove_pods(place.namespace)


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

    def test_a_sidecar_that_is_pulled_and_a_config_map(
        self, cluster: Cluster, chart: Chart, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        work = use(make_place(cluster, "sidecars", chart.own((), "rbac.podExec=true")), site)
        connection = {"kube_config_path": str(work.place.worker), "xcom_sidecar_container_image": PULLED}
        monkeypatch.setenv(
            "AIRFLOW_CONN_SIDECAR", json.dumps({"conn_type": "kubernetes", "extra": connection})
        )
        spec = site.spec | {"source": {"uri": str(site.photos), "pattern": ["*.png", "x" * 200_000]}}
        known = {"config_file": None, "kubernetes_conn_id": "sidecar"}
        task = work.task("ingest", spec, result_by="xcom", on_finish_action="keep_pod", **known)
        assert task.run() == ["ingest/00000"]
        assert task.timings.pull_s
        assert not (site.folder / "runs/dag/run/pods").exists()
        pod = cluster.pod("sidecars").metadata
        maps = [item.metadata for item in cluster.core.list_namespaced_config_map("sidecars").items]
        (ours,) = [item for item in maps if item.name.startswith("aiopt-spec")]
        assert [owner.uid for owner in ours.owner_references] == [pod.uid]
        cluster.core.delete_namespaced_pod(pod.name, "sidecars")
        cluster.wait_for_absence(cluster.core.read_namespaced_config_map, ours.name, "sidecars")

    def test_a_task_waits_in_the_triggerer(self, work: Work) -> None:
        task = work.task(deferrable=True, poll_interval=0.2)
        assert task.finish_in_triggerer(work.place.triggerer)["results"] == 7
        assert len(task.instance.xcoms["stage_reports"]) == 4
        assert task.timings.run_s

    def test_a_retry_takes_over_the_pod_of_a_worker_that_died(self, work: Work) -> None:
        store, go = TaskStore(), work.site.folder / "go"
        spec = work.spec(wait_for=str(go))
        dead = work.task(spec=spec, store=store)
        dead.operator.get_or_create_pod(dead.operator.build_pod_request_obj(dead.context), dead.context)
        made = work.place.cluster.pod(work.place.namespace, running=True)
        threading.Timer(0.5, go.touch).start()
        again = work.task(spec=spec, store=store, try_number=2)
        assert again.run()["results"] == 7
        assert again.operator.pod.metadata.uid == made.metadata.uid

    def test_a_killed_task_ends_its_pod_in_order(self, work: Work) -> None:
        spec = work.spec(wait_for=str(work.site.folder / "never"))
        task = work.task(spec=spec)
        with Beside(lambda: self.kill(work, task)):
            only_failure(task, errors.PodError, "SIGTERM|is gone")
        work.site.folder.joinpath("never").touch()
        assert work.task(spec=spec, try_number=2).run()["results"] == 7

    def kill(self, work: Work, task: PodTask) -> None:
        cluster, namespace = work.place.cluster, work.place.namespace
        pod = cluster.pod(namespace, running=True)
        began = time.monotonic()
        task.operator.on_kill()
        cluster.wait_for_absence(cluster.core.read_namespaced_pod, pod.metadata.name, namespace)
        assert time.monotonic() - began < pod.spec.termination_grace_period_seconds / 2


class TestRefusals:
    """What the API server does not take."""

    def test_another_namespace(self, work: Work) -> None:
        refused = r'.*pods is forbidden: .*prod-worker" cannot list resource "pods".*"default".*Role there'
        in_vain(work.task("plan", namespace="default"), errors.PodRefusedError, refused)
        known = {"kubeconfig": work.place.cluster.admin, "namespace": "nowhere"}
        in_vain(
            work.task("plan", **known), errors.PodRefusedError, r'.*namespaces "nowhere" not found.*Create it'
        )

    @pytest.mark.parametrize(
        ("resource", "verb"), [("pods", "create"), ("pods", "list"), ("pods", "get"), ("pods/log", "get")]
    )
    def test_less_than_the_charts_rights(self, work: Work, resource: str, verb: str) -> None:
        known = account_without(work.place, {(resource, verb)})
        task = work.task("plan", kubeconfig=known)
        in_vain(task, errors.PodRefusedError, rf'.*cannot {verb} resource "{resource}".*pods/log and list')
        core, namespace = work.place.cluster.core, work.place.namespace
        work.place.cluster.wait_for(lambda: not core.list_namespaced_pod(namespace).items, "no pod is left")

    def test_what_the_other_rights_are_for(self, work: Work) -> None:
        known = account_without(work.place, {("pods", "delete"), ("events", "list")})
        task = work.task("plan", kubeconfig=known)
        assert task.run() == ["ingest/00000"]
        assert task.timings.pull_s is None  # which is in the events
        pod = work.place.cluster.pod(work.place.namespace)  # which stays
        work.place.cluster.core.delete_namespaced_pod(pod.metadata.name, work.place.namespace)

    def test_a_quota(self, cluster: Cluster, chart: Chart, site: Site) -> None:
        team = [
            {"name": "vision", "namespace": "team", "serviceAccount": "prod-worker", "quota": {"pods": 0}}
        ]
        objects = [
            item
            for item in chart.own((), f"teams={json.dumps(team)}")
            if item["metadata"].get("namespace") == "team"
        ]
        work = use(make_place(cluster, "team", objects), site)
        refused = "exceeded quota: prod-aiopt-team, requested: pods=1.*Wait for other pods to end"
        error = only_failure(work.task("plan"), errors.PodRefusedError, refused)
        assert getattr(error, "retryable", False)

    def test_what_the_namespace_forbids(self, work: Work) -> None:
        task = work.task("plan", hostnetwork=True)
        in_vain(
            task, errors.PodRefusedError, r'.*violates PodSecurity "restricted.*host namespaces.*admission'
        )


class TestStarts:
    """What does not start."""

    def test_more_gpus_than_any_node_has(self, work: Work) -> None:
        options: dict[str, Any] = {"pod_resources": {"gpus": GPUS + 1}, "schedule_timeout_seconds": 2}
        only_failure(
            work.task("plan", **options),
            errors.PodUnschedulableError,
            rf"got no node.*Insufficient {GPU}.*There is not enough {GPU} free",
        )
        task = work.task("plan", kubeconfig=work.place.cluster.admin, **options)  # who sees the nodes
        message = rf".*asks for 3 {GPU}, and the most that any of 1 nodes has is 2.*Lower PodResources\.gpus"
        in_vain(task, errors.PodUnschedulableError, message)

    def test_a_node_that_is_not_there(self, work: Work) -> None:
        resources = {"node_selector": {"pool": "gpus"}}
        task = work.task("plan", pod_resources=resources, schedule_timeout_seconds=2)
        message = r"didn't match Pod's node affinity/selector.*Check PodResources\.node_selector"
        only_failure(task, errors.PodUnschedulableError, message)

    @pytest.mark.parametrize(
        ("image", "message"),
        [
            (f"{REGISTRY}/tools/no-such:1", "not found"),
            (f"{REGISTRY}/private/tools:1", "401 Unauthorized"),
        ],
    )
    def test_an_image_that_cannot_be_had(self, work: Work, image: str, message: str) -> None:
        expected = (
            rf".*{image}.*({message}).*Check the image's name and tag, and that the namespace has its image"
        )
        in_vain(work.task("plan", image=image), errors.PodImageError, expected)

    def test_a_registry_that_does_not_answer(self, work: Work) -> None:
        task = work.task("plan", image=f"{SILENT_REGISTRY}/shell:1", startup_timeout_seconds=5)
        error = only_failure(task, errors.PodImageError, r"connection refused.*another attempt may succeed")
        assert getattr(error, "retryable", False)

    def test_a_secret_that_is_not_there(self, work: Work) -> None:
        source = V1EnvFromSource(secret_ref=V1SecretEnvSource(name="s3-login"))
        task = work.task("plan", env_from=[source], startup_timeout_seconds=3)
        in_vain(task, errors.PodStartError, r'.*secret "s3-login" not found')

    def test_an_image_without_aiopt(self, work: Work) -> None:
        task = work.task("plan", image=PULLED, cmds=["aiopt"])
        in_vain(task, errors.PodStageError, r".*has no 'aiopt' that runs .*not found in \$PATH")


class TestEnds:
    """What ends a pod that runs."""

    def test_too_little_memory(self, work: Work) -> None:
        task = work.task(spec=work.spec(memory=2**29), pod_resources={"memory": "256Mi"})
        in_vain(task, errors.PodOutOfMemoryError, r".*its limit of 256Mi.*Raise PodResources\.memory")

    def test_too_little_scratch(self, work: Work) -> None:
        spec = work.spec(disk=2**25, wait_for=str(work.site.folder / "never"))
        task = work.task(spec=spec, pod_resources={"scratch": "8Mi"})
        message = r'.*wrote more than it may.*"scratch" exceeds the limit "8Mi".*Raise PodResources\.scratch'
        in_vain(task, errors.PodEvictedError, message)

    def test_a_pod_of_higher_priority(self, work: Work) -> None:
        cluster, gpus = work.place.cluster, {"gpus": GPUS}
        cluster.make_priority("low", 1)
        cluster.make_priority("high", 2)
        spec = work.spec(wait_for=str(work.site.folder / "never"))
        low = work.task(spec=spec, pod_resources=gpus | {"priority_class": "low"})
        high = work.task("plan", pod_resources=gpus | {"priority_class": "high"}, task_id="high")

        def preempt() -> None:
            cluster.pod(work.place.namespace, running=True)
            assert high.run() == ["ingest/00000"]

        with Beside(preempt):
            only_failure(low, errors.PodPreemptedError, "preempted: a pod of higher priority.*goes on after")

    def test_a_node_that_is_drained(self, work: Work) -> None:
        cluster = work.place.cluster
        task = work.task(spec=work.spec(wait_for=str(work.site.folder / "never")))

        def drain() -> None:
            pod = cluster.pod(work.place.namespace, running=True).metadata
            with pytest.raises(ApiException, match="disruption budget prod-aiopt-stages") as caught:
                cluster.evict(pod.name, pod.namespace)
            assert caught.value.status == 429  # the chart's budget
            cluster.policy.delete_namespaced_pod_disruption_budget("prod-aiopt-stages", pod.namespace)
            cluster.wait_for(lambda: cluster.evict(pod.name, pod.namespace), "the pod is evicted")

        with Beside(drain):
            only_failure(task, errors.PodError, r"its node (is|was) drained.*goes on after")

    def test_a_node_that_is_taken_away(self, work: Work) -> None:
        cluster = work.place.cluster
        task = work.task(spec=work.spec(wait_for=str(work.site.folder / "never")))

        def taint() -> None:
            cluster.pod(work.place.namespace, running=True)
            cluster.set_taints([{"key": "spot", "value": "gone", "effect": "NoExecute"}])

        try:
            with Beside(taint):
                only_failure(task, errors.PodEvictedError, r"its node got a taint.*goes on after")
        finally:
            cluster.set_taints([])


class TestObjects:
    """What the API server admits, without making it."""

    @pytest.mark.parametrize("case", list(CASES))
    def test_the_chart(self, cluster: Cluster, chart: Chart, case: str) -> None:
        objects = chart.own(CASES[case], *ALL_ON)
        cluster.install_definitions(definitions().values())
        for namespace in {item["metadata"].get("namespace") for item in objects} - cluster.namespaces():
            cluster.make_namespace(namespace)
        cluster.apply(objects, dry_run=True)

    def test_a_pod_of_the_kubernetes_executor(self, work: Work) -> None:
        from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator

        override = pod_override({"gpus": 1, "memory": "1Gi", "shared_memory": "64Mi", "scratch": "1Gi"})
        template = {"spec": {"containers": [{"name": "base", "image": "airflow"}], "restartPolicy": "Never"}}
        pod = PodGenerator.reconcile_pods(PodGenerator.deserialize_model_dict(template), override)
        pod.metadata.name = "worker"
        cluster = work.place.cluster
        made = cluster.core.create_namespaced_pod("default", pod, dry_run="All")
        assert made.spec.containers[0].resources.requests == {"cpu": "1", "memory": "1Gi", GPU: "1"}
        assert GPU in {item.key for item in made.spec.tolerations}
