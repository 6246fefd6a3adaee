"""``KubernetesStageOperator`` against an API server on loopback, whose node really runs the containers."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from components import requires
from kubernetes_server import FakeKubernetes
from PIL import Image
from pipelines import CLI, Site, account

requires("airflow.providers.cncf.kubernetes", "make install")

from pod_tasks import PodTask, in_vain, only_failure  # noqa: E402  # needs the extra

from airflow_provider_aiopt import PodResources  # noqa: E402  # the same
from airflow_provider_aiopt import exceptions as errors  # noqa: E402  # the same
from airflow_provider_aiopt.data.folder import Folder  # noqa: E402  # the same
from airflow_provider_aiopt.telemetry.reports import STAGES, StageReport  # noqa: E402  # the same

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    # The Kubernetes client leaves its connections to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

IMAGE = "aiopt-runtime:test"
HANGS = "hangs:test"
HELD = "held:test"
OLD = "without-aiopt:test"
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    monkeypatch.setenv("AIRFLOW__AIOPT__WORK_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("AIRFLOW__AIOPT__POD_IMAGE", IMAGE)
    images = {
        IMAGE: CLI,
        HANGS: [sys.executable, "-c", "import time; print('hanging', flush=True); time.sleep(60)"],
        OLD: ["/bin/sh", "-c", "exit 127"],
        HELD: ["/bin/sh", "-c", f'while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; exec "$@"', "sh", *CLI],
    }
    folder = tmp_path / "cluster"
    folder.mkdir()
    with FakeKubernetes(folder, images=images, claims={"photographs": tmp_path}) as made:
        made.node.environment = {"PYTHONPATH": str(REPOSITORY), "HOME": str(tmp_path)}
        yield made


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Eight photographs, one of them bad, and a model that answers their pixels."""
    made = Site(tmp_path)
    made.add_plain(7)
    made.add("broken.png", b"not a photograph")
    return made


def dag_workspace(site: Site) -> Folder:
    return Folder.open(str(site.folder / "runs" / "dag" / "run"))


class TestStages:
    def test_four_stages_in_four_pods(self, cluster: FakeKubernetes, site: Site) -> None:
        spec = site.spec | {"execution": {"workers": 1, "shards": 2}}
        resources = {"claims": {str(site.folder): "photographs"}}
        shard: Any = None
        for stage in STAGES:
            task = PodTask(cluster.kubeconfig, stage, spec, shard=shard, pod_resources=resources)
            shard = task.run()
            report = StageReport.model_validate(task.instance.xcoms["stage_report"])
            assert (report.stage, report.task and report.task.task_id) == (stage, stage)
            assert report.details["pod_s"] == task.timings.seconds()
        workspace = dag_workspace(site)
        assert shard == {"results_uri": f"{workspace.uri}/results", "results": 7}
        found = account(workspace, workspace.child("results"))
        assert (len(found.rows), list(found.bad)) == (7, ["broken.png"])
        assert cluster.pods_left() == []

    def test_a_pods_time_is_split(self, cluster: FakeKubernetes, site: Site) -> None:
        tasks = [
            PodTask(cluster.kubeconfig, "pipeline", site.spec, workspace=str(site.folder / "w"))
            for _ in range(2)
        ]
        assert tasks[0].run()["results"] == 7
        first, reports = tasks[0].timings, tasks[0].instance.xcoms["stage_reports"]
        assert [report["stage"] for report in reports] == list(STAGES)
        assert first.pull_s == 1.25
        assert first.boot_s is not None
        assert first.run_s is not None
        assert first.load_s == pytest.approx(sum(report.get("model_load_s", 0) for report in reports))
        tasks[1].run()
        assert tasks[1].timings.pull_s == 0.0  # the node has the image now

    def test_a_shard_for_each_of_mapped_tasks(self, cluster: FakeKubernetes, site: Site) -> None:
        spec = site.spec | {"execution": {"workers": 1, "shards": 2}}
        shards = PodTask(cluster.kubeconfig, "plan", spec).run()
        assert shards == ["ingest/00000", "ingest/00001"]
        assert (
            sum(
                PodTask(cluster.kubeconfig, "pipeline", spec, shard=shard).run()["results"]
                for shard in shards
            )
            == 7
        )

    def test_a_sidecar_and_a_config_map(self, cluster: FakeKubernetes, site: Site) -> None:
        spec = site.spec | {"source": {"uri": str(site.photos), "pattern": ["*.png", "x" * 200_000]}}
        task = PodTask(cluster.kubeconfig, "ingest", spec, result_by="xcom")
        assert task.run() == ["ingest/00000"]
        assert (cluster.created("configmaps"), cluster.created("pods")) == (1, 1)
        assert cluster.objects.all("ConfigMap") == []  # it went with the pod
        assert not (site.folder / "runs" / "dag" / "run" / "pods").exists()

    def test_no_secret_reaches_the_cluster(self, cluster: FakeKubernetes, site: Site) -> None:
        spec = site.spec | {"source": {"uri": "s3://b/x", "storage_options": {"secret": "hush"}}}
        with pytest.raises(
            AirflowFailException, match=r"SpecError: .*storage_options\.secret looks"
        ) as caught:
            PodTask(cluster.kubeconfig, "ingest", spec).run()
        assert "hush" not in str(caught.value)
        assert cluster.created() == 0


class TestFailures:
    def test_no_permission(self, cluster: FakeKubernetes, site: Site) -> None:
        cluster.forbid("pods", "create")
        in_vain(
            PodTask(cluster.kubeconfig, "plan", site.spec),
            errors.PodRefusedError,
            r'.*cannot create resource "pods".*Role',
        )

    @pytest.mark.parametrize("resource", ["pods", "pods/log"])
    def test_a_pod_that_may_not_be_followed_is_taken_back(
        self, cluster: FakeKubernetes, site: Site, resource: str
    ) -> None:
        cluster.forbid(resource, "get")
        task = PodTask(cluster.kubeconfig, "plan", site.spec)
        in_vain(task, errors.PodRefusedError, rf'.*cannot get resource "{resource}".*Role')
        assert cluster.pods_left() == []

    def test_a_namespace_that_is_not_there(self, cluster: FakeKubernetes, site: Site) -> None:
        task = PodTask(cluster.kubeconfig, "plan", site.spec, namespace="nowhere")
        in_vain(task, errors.PodRefusedError, r'.*namespaces "nowhere" not found.*Create it')

    def test_an_image_that_is_not_there(self, cluster: FakeKubernetes, site: Site) -> None:
        task = PodTask(cluster.kubeconfig, "plan", site.spec, image="no-such:image")
        in_vain(task, errors.PodImageError, r".*no-such:image.*not found.*Check the image's name")
        assert cluster.pods_left() == []

    def test_a_registry_that_does_not_answer(self, cluster: FakeKubernetes, site: Site) -> None:
        cluster.node.pull_error = "dial tcp: i/o timeout"
        task = PodTask(
            cluster.kubeconfig, "plan", site.spec, image="no-such:image", startup_timeout_seconds=1
        )
        error = only_failure(task, errors.PodImageError, r"i/o timeout.*another attempt may succeed")
        assert getattr(error, "retryable", False)

    def test_no_node_has_a_gpu(self, cluster: FakeKubernetes, site: Site) -> None:
        task = PodTask(
            cluster.kubeconfig,
            "plan",
            site.spec,
            pod_resources=PodResources(gpus=1),
            schedule_timeout_seconds=1,
        )
        in_vain(task, errors.PodUnschedulableError, r".*asks for 1 nvidia\.com/gpu, and no node has any")

    def test_nobody_may_see_what_the_nodes_have(self, cluster: FakeKubernetes, site: Site) -> None:
        cluster.forbid("nodes", "list")
        task = PodTask(
            cluster.kubeconfig, "plan", site.spec, pod_resources={"gpus": 1}, schedule_timeout_seconds=1
        )
        only_failure(
            task, errors.PodUnschedulableError, r"Insufficient nvidia\.com/gpu.*not enough nvidia.com/gpu"
        )

    def test_a_queue_that_does_not_admit_it(self, cluster: FakeKubernetes, site: Site) -> None:
        task = PodTask(
            cluster.kubeconfig, "plan", site.spec, pod_resources={"queue": "gpus"}, schedule_timeout_seconds=1
        )
        only_failure(task, errors.PodUnschedulableError, r"waits for its queue to admit it")

    def test_a_spec_that_is_wrong_only_where_it_runs(self, cluster: FakeKubernetes, site: Site) -> None:
        spec = site.spec | {"model": {"uri": "/no/such/model.onnx"}}
        task = PodTask(cluster.kubeconfig, "pipeline", spec)
        in_vain(task, errors.PodStageError, r".*ModelNotFoundError: .*/no/such/model\.onnx")
        assert task.timings.total_s is not None

    def test_what_may_pass_is_retried(self, cluster: FakeKubernetes, site: Site) -> None:
        task = PodTask(cluster.kubeconfig, "preprocess", site.spec, shard="ingest/00000")
        only_failure(task, errors.PodStageError, r"ShardError: .*no finished shard.*next attempt")

    def test_an_image_without_aiopt(self, cluster: FakeKubernetes, site: Site) -> None:
        in_vain(
            PodTask(cluster.kubeconfig, "plan", site.spec, image=OLD),
            errors.PodStageError,
            r".*no 'aiopt' that runs",
        )

    @pytest.mark.parametrize(
        ("how", "kind", "message"),
        [
            ("preempt", errors.PodPreemptedError, "was preempted.*goes on after"),
            ("evict", errors.PodEvictedError, "low on resource: memory"),
            ("delete", errors.PodError, "SIGTERM|is gone"),
        ],
    )
    def test_what_happens_to_a_pod_that_runs(
        self, cluster: FakeKubernetes, site: Site, how: str, kind: type[Exception], message: str
    ) -> None:
        task = PodTask(cluster.kubeconfig, "pipeline", site.spec, image=HANGS)
        with Disturbance(cluster, how):
            only_failure(task, kind, message)

    @pytest.mark.parametrize(
        ("how", "message"), [("oom", "limit of 2Gi"), ("full", "Raise PodResources.scratch")]
    )
    def test_what_would_happen_again(
        self, cluster: FakeKubernetes, site: Site, how: str, message: str
    ) -> None:
        kind = errors.PodOutOfMemoryError if how == "oom" else errors.PodEvictedError
        with Disturbance(cluster, how):
            in_vain(PodTask(cluster.kubeconfig, "pipeline", site.spec, image=HANGS), kind, f".*{message}")


class Disturbance:
    """Does something to the first pod that runs, beside the task that waits for it."""

    def __init__(self, cluster: FakeKubernetes, how: str) -> None:
        self._cluster, self._how = cluster, how
        self._thread = threading.Thread(target=self._act)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _act(self) -> None:
        run, node = self._cluster.wait_for_run(), self._cluster.node
        actions = {
            "preempt": lambda: node.preempt(run),
            "evict": lambda: node.evict(run, "The node was low on resource: memory."),
            "full": lambda: node.evict(run, 'Usage of EmptyDir volume "scratch" exceeds the limit "10Gi".'),
            "delete": lambda: node.delete(run.pod),
            "oom": run.kill_for_memory,
        }
        actions[self._how]()


class TestInterruptions:
    def test_a_killed_task_ends_its_pod_in_order_and_goes_on_later(
        self, cluster: FakeKubernetes, site: Site
    ) -> None:
        for number in range(7, 200):
            site.add(f"{number:03d}.png", Image.new("RGB", (400, 400), (number, 0, 0)))
        spec = site.spec | {"execution": {"workers": 1, "shards": 40}}
        task = PodTask(cluster.kubeconfig, "pipeline", spec)
        failures: list[BaseException] = []

        def run() -> None:
            try:
                task.run()
            except BaseException as error:  # noqa: BLE001  # however it ends, it is looked at
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        run_of_pod = cluster.wait_for_run()
        done = site.folder / "runs" / "dag" / "run" / "postprocess"
        deadline = time.monotonic() + 20
        while not any(done.glob("*.json")):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        began = time.monotonic()
        task.operator.on_kill()
        process = run_of_pod.containers["base"].process
        assert process is not None
        assert process.wait(15) == 143
        assert time.monotonic() - began < 10
        thread.join(30)
        assert failures

        again = PodTask(cluster.kubeconfig, "pipeline", spec, try_number=2)
        assert again.run()["results"] == 200
        reports = [StageReport.model_validate(item) for item in again.instance.xcoms["stage_reports"]]
        assert reports[-1].resumed_items > 0
        workspace = dag_workspace(site)
        assert len(account(workspace, workspace.child("results")).rows) == 200

    def test_a_retry_takes_the_pod_of_a_worker_that_died(self, cluster: FakeKubernetes, site: Site) -> None:
        dead = PodTask(cluster.kubeconfig, "pipeline", site.spec, image=HELD)
        dead.operator.get_or_create_pod(dead.operator.build_pod_request_obj(dead.context), dead.context)
        cluster.wait_for_run()
        again = PodTask(cluster.kubeconfig, "pipeline", site.spec, image=HELD, try_number=2)
        threading.Timer(0.5, (site.folder / "go").touch).start()
        assert again.run()["results"] == 7
        assert cluster.created() == 1


class TestDeferrable:
    def test_the_task_waits_in_the_triggerer(self, cluster: FakeKubernetes, site: Site) -> None:
        task = PodTask(cluster.kubeconfig, "pipeline", site.spec, deferrable=True, poll_interval=0.1)
        assert task.finish_in_triggerer()["results"] == 7
        assert task.timings.run_s is not None
        assert len(task.instance.xcoms["stage_reports"]) == 4

    def test_it_fails_there_as_clearly(self, cluster: FakeKubernetes, site: Site) -> None:
        options = {"deferrable": True, "poll_interval": 0.1, "pod_resources": {"gpus": 1}}
        task = PodTask(cluster.kubeconfig, "pipeline", site.spec, schedule_timeout_seconds=1, **options)
        with pytest.raises(AirflowFailException, match=r"PodUnschedulableError: .*no node has any"):
            task.finish_in_triggerer()


def test_kubernetes_sees_the_manifest_that_was_meant(cluster: FakeKubernetes, site: Site) -> None:
    resources = PodResources(
        gpus=1, memory="16Gi", runtime_class="nvidia", shared_memory="1Gi", service_account="r"
    )
    task = PodTask(
        cluster.kubeconfig,
        "plan",
        site.spec,
        pod_resources=resources,
        labels={"team": "vision"},
        env_vars={"A": "b"},
    )
    pod = task.operator.build_pod_request_obj(task.context)
    manifest = json.loads(json.dumps(task.operator.client.api_client.sanitize_for_serialization(pod)))
    spec, (container,) = manifest["spec"], manifest["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "16Gi", "nvidia.com/gpu": "1"}
    assert {item["name"] for item in container["env"]} >= {"A", "AIOPT_POD", "AIOPT_CACHE_DIR"}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert (spec["runtimeClassName"], spec["serviceAccountName"]) == ("nvidia", "r")
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert manifest["metadata"]["labels"]["team"] == "vision"
