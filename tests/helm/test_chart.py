"""What the chart renders to, object by object."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml
from helm_chart import (
    ALL_ON,
    CASES,
    NAMESPACE,
    RELEASE,
    ROOT,
    SOURCE,
    Chart,
    of_kind,
    only,
    pod_templates,
)

from airflow_provider_aiopt import __version__
from airflow_provider_aiopt.deployment.configuration import EnvironmentOptions, aiopt_options
from airflow_provider_aiopt.deployment.options import ConcurrencyOptions
from airflow_provider_aiopt.deployment.pools import wanted_pools
from airflow_provider_aiopt.deployment.profiles import load_profile
from airflow_provider_aiopt.telemetry.exposition import statsd_mapping

STAGES = {"kubernetes_pod_operator": "True"}


def subjects(binding: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["name"], item["namespace"]) for item in binding["subjects"]]


def allowed(role: dict[str, Any]) -> set[tuple[str, str]]:
    return {(what, verb) for rule in role["rules"] for what in rule["resources"] for verb in rule["verbs"]}


@pytest.mark.parametrize("case", CASES)
def test_helm_finds_no_fault(chart: Chart, case: str) -> None:
    done = chart.run("lint", CASES[case], ALL_ON)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 chart(s) failed" in done.stdout
    assert "[WARNING]" not in done.stdout


def test_it_renders_within_three_seconds(chart: Chart) -> None:
    took = []
    for _ in range(3):
        began = time.perf_counter()
        assert chart.run("template", CASES["multi-team"], ALL_ON).returncode == 0
        took.append(time.perf_counter() - began)

    assert min(took) < 3


def test_by_default_it_makes_these_objects(chart: Chart) -> None:
    found = {(item["kind"], item["metadata"]["name"]) for item in chart.own()}

    assert found == {
        ("ConfigMap", "aiopt-pod-templates"),
        ("Job", "prod-aiopt-setup"),
        ("NetworkPolicy", "prod-aiopt-stages"),
        ("PodDisruptionBudget", "prod-aiopt-stages"),
        ("Role", "prod-aiopt-launcher"),
        ("Role", "prod-aiopt-watcher"),
        ("RoleBinding", "prod-aiopt-launcher"),
        ("RoleBinding", "prod-aiopt-watcher"),
        ("ServiceAccount", "aiopt-stage"),
    }


def test_with_everything_off_it_makes_nothing(chart: Chart) -> None:
    switches = ("setup", "stages.podTemplates", "stages.networkPolicy", "stages.podDisruptionBudget")
    off = [f"{switch}.enabled=false" for switch in switches]

    assert chart.own((), *off, "rbac.create=false", "stages.serviceAccount.create=false") == []


@pytest.mark.parametrize("case", CASES)
def test_the_chart_has_the_versions_of_the_package(chart: Chart, case: str) -> None:
    declared = yaml.safe_load((SOURCE / "Chart.yaml").read_text())
    given = chart.given(CASES[case])

    assert declared["appVersion"] == __version__ == given["defaultAirflowTag"]
    assert declared["dependencies"] == [
        {
            "name": "airflow",
            "version": "~1.22.0",
            "repository": "https://airflow.apache.org",
            "condition": "officialChart.enabled",
        }
    ]
    templates = pod_templates(chart.own(CASES[case]))
    images = {name: pod["spec"]["containers"][0].get("image") for name, pod in templates.items()}
    assert images == {
        "stage.yaml": None,
        "stage-cpu.yaml": f"aiopt-runtime:{__version__}",
        "stage-gpu.yaml": f"aiopt-runtime:{__version__}-gpu",
    }


class TestOfficialChart:
    """What the official chart is given."""

    @pytest.mark.parametrize("case", CASES)
    def test_the_low_latency_profile_is_applied(self, chart: Chart, case: str) -> None:
        config = chart.given(CASES[case])["config"]

        for section, settings in load_profile("low-latency").sections().items():
            assert settings.items() <= config[section].items()

    def test_statsd_has_the_mapping_of_the_package(self, chart: Chart) -> None:
        assert chart.given()["statsd"]["extraMappings"] == yaml.safe_load(statsd_mapping())["mappings"]

    def test_no_password_has_a_default(self, chart: Chart) -> None:
        given = chart.given()

        assert given["postgresql"] == given["createUserJob"] == {"enabled": False}
        assert given["data"] == {
            "metadataSecretName": "aiopt-metadata",
            "brokerUrlSecretName": "aiopt-broker",
        }
        assert given["redis"] == {"passwordSecretName": "aiopt-redis"}

    def test_its_own_wider_roles_are_off(self, chart: Chart) -> None:
        assert chart.given()["allowPodLaunching"] is False

    def test_workers_follow_the_queue(self, chart: Chart) -> None:
        given = chart.given(CASES["cpu"])
        celery = given["workers"]["celery"]

        assert celery["keda"]["enabled"] is True
        assert celery["persistence"] == {"enabled": False}  # a StatefulSet would be slow to grow
        # KEDA divides by it, and by the chart's value alone.
        assert given["config"]["celery"]["worker_concurrency"] == "2"
        assert celery["keda"]["cooldownPeriod"] > celery["terminationGracePeriodSeconds"]

    def test_gpu_workers_are_one_for_each_gpu(self, chart: Chart) -> None:
        given = chart.given(CASES["gpu"])
        options = given["config"]["aiopt"]
        (workers,) = given["workers"]["celery"]["sets"]

        assert workers["queue"] == options["gpu_queue"]
        assert workers["keda"]["maxReplicaCount"] == int(options["gpu_pool_slots"])
        assert workers["keda"]["minReplicaCount"] == 0
        assert f"queue = '{options['gpu_queue']}'" in workers["keda"]["query"]
        assert workers["args"][-1].endswith(f"--queues {workers['queue']} --concurrency 1")
        for amounts in workers["resources"].values():
            assert amounts["nvidia.com/gpu"] == 1

    def test_teams_have_workers_with_accounts_of_their_own(self, chart: Chart) -> None:
        overlays = CASES["multi-team"]
        sets = chart.given(overlays)["workers"]["celery"]["sets"]
        teams = yaml.safe_load((SOURCE / "values-multi-team.yaml").read_text())["teams"]

        accounts = {item["name"]: item["serviceAccount"]["name"] for item in sets}
        assert accounts == {team["name"]: team["serviceAccount"] for team in teams}
        assert all(item["queue"] == item["name"] for item in sets)

    def test_pod_templates_are_mounted(self, chart: Chart) -> None:
        given = chart.given()
        (volume,), (mount,) = given["volumes"], given["volumeMounts"]

        assert (
            volume["configMap"]["name"]
            == only(chart.own(), "ConfigMap", "aiopt-pod-templates")["metadata"]["name"]
        )
        assert (mount["name"], mount["mountPath"]) == (volume["name"], "/opt/airflow/pod-templates")

    @pytest.mark.parametrize(
        ("sets", "image"),
        [
            ((), "aiopt-runtime:0.1.0"),
            (
                ("stages.image.repository=registry.example.org/aiopt", "stages.image.tag=v1"),
                "registry.example.org/aiopt:v1",
            ),
            (("airflow.config.aiopt.pod_image=mine:2",), "mine:2"),
        ],
    )
    def test_airflow_knows_the_image_of_stages(self, chart: Chart, sets: tuple[str, ...], image: str) -> None:
        (variable,) = yaml.safe_load(chart.given((), *sets)["extraEnv"])
        source = variable["valueFrom"]["configMapKeyRef"]
        assert variable["name"] == "AIRFLOW__AIOPT__POD_IMAGE"
        assert only(chart.own((), *sets), "ConfigMap", source["name"])["data"][source["key"]] == image

    def test_tasks_may_wait_as_long_as_with_compose(self, chart: Chart) -> None:
        compose = (ROOT / "docker-compose.yaml").read_text()
        timeout = chart.given()["config"]["scheduler"]["task_queued_timeout"]
        assert f"AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT: ${{AIOPT_QUEUED_TIMEOUT:-{timeout}}}" in compose

    def test_an_airflow_that_is_there_is_used(self, chart: Chart) -> None:
        sets = ("officialChart.enabled=false", "airflowRelease=live", *ALL_ON)
        objects = chart.render((), *sets)

        assert "given" not in {item["metadata"]["name"] for item in objects}
        (monitor,) = of_kind(objects, "ServiceMonitor")
        assert monitor["spec"]["selector"]["matchLabels"]["release"] == "live"
        binding = only(objects, "RoleBinding", "prod-aiopt-launcher")
        assert subjects(binding) == [("live-worker", NAMESPACE)]


class TestSetup:
    """The job that makes the pools."""

    def environment(self, chart: Chart, case: str) -> dict[str, dict[str, Any]]:
        job = only(chart.own(CASES[case]), "Job", "prod-aiopt-setup")
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert container["command"] == ["aiopt", "setup"]
        return {item["name"]: item for item in container["env"]}

    @pytest.mark.parametrize(
        ("case", "pools"),
        [
            ("default", {"default_pool": None}),
            ("cpu", {"aiopt-cpu": 16, "aiopt-inference": 8}),
            ("gpu", {"aiopt-cpu": 16, "aiopt-gpus": 4}),
        ],
    )
    def test_it_makes_the_pools_that_airflow_is_configured_with(
        self, chart: Chart, case: str, pools: dict[str, int | None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, item in self.environment(chart, case).items():
            if name.startswith("AIRFLOW__"):
                monkeypatch.setenv(name, item["value"])

        wanted = wanted_pools(ConcurrencyOptions.read(aiopt_options(EnvironmentOptions(), {})))

        assert {pool.name: pool.slots for pool in wanted} == pools

    def test_it_logs_in_with_a_secret_that_is_there(self, chart: Chart) -> None:
        environment = self.environment(chart, "default")

        assert environment["AIOPT_AIRFLOW_URL"]["value"] == f"http://{RELEASE}-api-server:8080"
        for name, key in (("USERNAME", "username"), ("PASSWORD", "password")):
            reference = environment[f"AIOPT_AIRFLOW_{name}"]["valueFrom"]["secretKeyRef"]
            assert reference == {"name": "aiopt-setup", "key": key}

    def test_a_token_does_as_well(self, chart: Chart) -> None:
        (job,) = of_kind(chart.own((), "setup.credentials.tokenKey=token"), "Job")
        (container,) = job["spec"]["template"]["spec"]["containers"]
        names = {item["name"] for item in container["env"] if "valueFrom" in item}

        assert names == {"AIOPT_AIRFLOW_TOKEN"}

    def test_without_hooks_another_job_has_another_name(self, chart: Chart) -> None:
        (one,) = of_kind(chart.own((), "setup.useHelmHooks=false"), "Job")
        (same,) = of_kind(chart.own((), "setup.useHelmHooks=false", *ALL_ON), "Job")
        other_pools = ("setup.useHelmHooks=false", "airflow.config.aiopt.cpu_pool_slots=3")
        (other,) = of_kind(chart.own((), *other_pools), "Job")

        assert one["metadata"]["name"] == same["metadata"]["name"] != other["metadata"]["name"]
        assert "annotations" not in one["metadata"]


class TestRoles:
    """Who may do what."""

    @pytest.mark.parametrize("case", CASES)
    def test_nothing_is_allowed_beyond_a_namespace(self, chart: Chart, case: str) -> None:
        kinds = {item["kind"] for item in chart.own(CASES[case], *ALL_ON)}

        assert not {kind for kind in kinds if kind.startswith("Cluster")}

    def test_workers_launch_pods_and_no_more(self, chart: Chart) -> None:
        objects = chart.own()
        pods = {("pods", verb) for verb in ("create", "delete", "get", "list", "patch", "watch")}
        why = {("pods/log", "get"), ("events", "list"), ("events", "watch"), ("configmaps", "create")}

        assert allowed(only(objects, "Role", "prod-aiopt-launcher")) == pods | why
        assert subjects(only(objects, "RoleBinding", "prod-aiopt-launcher")) == [("prod-worker", NAMESPACE)]

    def test_the_triggerer_cannot_launch(self, chart: Chart) -> None:
        objects = chart.own()
        can = allowed(only(objects, "Role", "prod-aiopt-watcher"))

        assert not {(what, verb) for what, verb in can if verb in {"create", "patch", "update"}}
        assert subjects(only(objects, "RoleBinding", "prod-aiopt-watcher")) == [("prod-triggerer", NAMESPACE)]

    @pytest.mark.parametrize("case", CASES)
    def test_nobody_reads_secrets_or_runs_commands(self, chart: Chart, case: str) -> None:
        roles = [item for item in chart.own(CASES[case]) if item["kind"] == "Role"]
        can = {what for role in roles for what, _ in allowed(role)}

        assert roles
        assert can <= {"pods", "pods/log", "events", "configmaps"}

    def test_commands_in_pods_can_be_allowed(self, chart: Chart) -> None:
        role = only(chart.own((), "rbac.podExec=true"), "Role", "prod-aiopt-launcher")

        assert {("pods/exec", "create"), ("pods/exec", "get")} <= allowed(role)

    @pytest.mark.parametrize(
        ("executor", "scheduler"),
        [
            ("CeleryExecutor", False),
            ("LocalExecutor", True),
            ("KubernetesExecutor", True),
            ("CeleryExecutor\\,KubernetesExecutor", True),
        ],
    )
    def test_the_scheduler_launches_where_it_starts_pods(
        self, chart: Chart, executor: str, scheduler: bool
    ) -> None:
        objects = chart.own((), f"airflow.executor={executor}")
        accounts = {name for name, _ in subjects(only(objects, "RoleBinding", "prod-aiopt-launcher"))}

        assert ("prod-scheduler" in accounts) is scheduler

    def test_a_team_launches_in_its_own_namespace_alone(self, chart: Chart) -> None:
        objects = chart.own(CASES["multi-team"])
        bindings = [item for item in objects if item["metadata"]["name"] == "prod-aiopt-launcher"]
        where = {
            item["metadata"]["namespace"]: subjects(item)
            for item in bindings
            if item["kind"] == "RoleBinding"
        }

        assert where == {
            NAMESPACE: [("prod-worker", NAMESPACE)],
            "team-vision": [("aiopt-worker-vision", NAMESPACE)],
            "team-language": [("aiopt-worker-language", NAMESPACE)],
        }

    def test_a_stage_has_no_token(self, chart: Chart) -> None:
        objects = chart.own(CASES["multi-team"])
        accounts = [item for item in objects if item["kind"] == "ServiceAccount"]
        bound = {name for item in objects if item["kind"] == "RoleBinding" for name, _ in subjects(item)}

        assert len(accounts) == 3
        assert all(item["automountServiceAccountToken"] is False for item in accounts)
        assert "aiopt-stage" not in bound


class TestStages:
    """The pods that stages run in."""

    def test_a_gpu_stage_gets_a_gpu_and_its_nodes(self, chart: Chart) -> None:
        pod = pod_templates(chart.own(CASES["gpu"]))["stage-gpu.yaml"]["spec"]
        (container,) = pod["containers"]
        volumes = {item["name"]: item for item in pod["volumes"]}

        assert container["name"] == "base"  # as Airflow's operators and executors look for it
        assert container["resources"] == {
            "requests": {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"},
            "limits": {"memory": "16Gi", "nvidia.com/gpu": "1"},
        }
        assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
        assert volumes["shared-memory"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "2Gi"}
        assert volumes["scratch"]["emptyDir"] == volumes["work"]["emptyDir"] == {"sizeLimit": "50Gi"}
        paths = {item["name"]: item["mountPath"] for item in container["volumeMounts"]}
        assert paths == {"scratch": "/tmp", "work": "/opt/aiopt", "shared-memory": "/dev/shm"}

    def test_a_cpu_stage_asks_for_none(self, chart: Chart) -> None:
        pod = pod_templates(chart.own())["stage-cpu.yaml"]["spec"]

        assert set(pod["containers"][0]["resources"]["limits"]) == {"memory"}
        assert "tolerations" not in pod

    def test_the_operators_own_template_adds_to_no_list(self, chart: Chart) -> None:
        pod = pod_templates(chart.own(CASES["gpu"]))["stage.yaml"]
        (container,) = pod["spec"]["containers"]

        assert set(pod["spec"]) == {"automountServiceAccountToken", "containers", "serviceAccountName"}
        assert container == {"name": "base", "imagePullPolicy": "IfNotPresent"}
        assert pod["metadata"]["annotations"] == {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}

    @pytest.mark.parametrize("name", ["stage-cpu.yaml", "stage-gpu.yaml"])
    def test_a_stage_is_restricted(self, chart: Chart, name: str) -> None:
        """As the Pod Security Standards' profile "restricted" asks, with a root that is not written."""
        pod = pod_templates(chart.own())[name]["spec"]
        (container,) = pod["containers"]

        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }

    def test_all_that_a_stage_can_be_given_arrives(self, chart: Chart) -> None:
        objects = chart.own(
            (),
            "stages.podTemplates.gpu.gpus=2",
            "stages.podTemplates.gpu.modelCache=models",
            "stages.podTemplates.gpu.runtimeClassName=nvidia",
            "stages.podTemplates.gpu.priorityClassName=batch",
            'stages.podTemplates.gpu.nodeSelector={"pool": "a100"}',
            'stages.podTemplates.gpu.tolerations=[{"key": "spot", "operator": "Exists"}]',
            "stages.podTemplates.gpu.safeToEvict=true",
            'stages.imagePullSecrets=["registry"]',
        )
        pod = pod_templates(objects)["stage-gpu.yaml"]
        spec = pod["spec"]

        assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2"
        assert {"name": "model-cache", "persistentVolumeClaim": {"claimName": "models"}} in spec["volumes"]
        assert spec["containers"][0]["env"] == [{"name": "AIOPT_CACHE_DIR", "value": "/var/cache/aiopt"}]
        assert (spec["runtimeClassName"], spec["priorityClassName"]) == ("nvidia", "batch")
        assert spec["nodeSelector"] == {"pool": "a100"}
        assert [item["key"] for item in spec["tolerations"]] == ["spot", "nvidia.com/gpu"]
        assert spec["imagePullSecrets"] == [{"name": "registry"}]
        assert "annotations" not in pod["metadata"]

    @pytest.mark.parametrize("namespace", [NAMESPACE, "team-vision", "team-language"])
    def test_nobody_reaches_a_stage_and_it_not_the_metadata(self, chart: Chart, namespace: str) -> None:
        (policy,) = of_kind(chart.own(CASES["multi-team"]), "NetworkPolicy", namespace)
        spec = policy["spec"]
        names, storage = spec["egress"]

        assert spec["podSelector"] == {"matchLabels": STAGES}
        assert (spec["policyTypes"], spec["ingress"]) == (["Ingress", "Egress"], [])
        assert {item["port"] for item in names["ports"]} == {53}
        assert storage["to"] == [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}]
        assert storage["ports"] == [{"port": 443, "protocol": "TCP"}]

    def test_a_node_is_drained_after_its_stages(self, chart: Chart) -> None:
        (budget,) = of_kind(chart.own(), "PodDisruptionBudget")

        # Of pods without a controller, Kubernetes takes a whole number that is to be left, and nothing else.
        assert budget["spec"]["minAvailable"] == 100_000
        assert "maxUnavailable" not in budget["spec"]
        assert budget["spec"]["selector"] == {"matchLabels": STAGES}

    def test_a_team_has_a_quota(self, chart: Chart) -> None:
        (quota,) = of_kind(chart.own(CASES["multi-team"]), "ResourceQuota", "team-vision")

        assert quota["spec"]["hard"] == {
            "requests.nvidia.com/gpu": "4",
            "requests.cpu": "64",
            "requests.memory": "256Gi",
            "pods": "50",
        }


class TestMonitoring:
    """Prometheus and Grafana."""

    def test_the_exporter_is_scraped_as_the_job_that_the_alert_looks_for(self, chart: Chart) -> None:
        objects = chart.own((), *ALL_ON)
        (monitor,) = of_kind(objects, "ServiceMonitor")
        (endpoint,) = monitor["spec"]["endpoints"]
        (rules,) = of_kind(objects, "PrometheusRule")
        expressions = [rule["expr"] for group in rules["spec"]["groups"] for rule in group["rules"]]

        assert monitor["spec"]["selector"]["matchLabels"] == {
            "tier": "airflow",
            "component": "statsd",
            "release": RELEASE,
        }
        assert endpoint["port"] == "statsd-scrape"
        assert endpoint["relabelings"] == [
            {"action": "replace", "targetLabel": "job", "replacement": "statsd-exporter"}
        ]
        assert any('up{job="statsd-exporter"}' in expression for expression in expressions)

    def test_labels_that_the_operator_selects_by_are_set(self, chart: Chart) -> None:
        labels = [f"monitoring.{kind}.labels.team=ml" for kind in ("serviceMonitor", "prometheusRule")]
        objects = chart.own((), *ALL_ON, *labels)

        for kind in ("ServiceMonitor", "PrometheusRule"):
            assert of_kind(objects, kind)[0]["metadata"]["labels"]["team"] == "ml"

    def test_the_runbook_has_an_address(self, chart: Chart) -> None:
        url = "https://wiki.example.org/runbook"
        (rules,) = of_kind(
            chart.own((), *ALL_ON, f"monitoring.prometheusRule.runbookUrl={url}"), "PrometheusRule"
        )
        alerts = [rule for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule]

        assert {rule["annotations"]["runbook_url"] for rule in alerts} == {
            f"{url}#{rule['alert'].lower()}" for rule in alerts
        }

    def test_thresholds_can_be_ones_own(self, chart: Chart) -> None:
        own = '[{"record": "aiopt:long_queue_time:threshold_seconds", "expr": "vector(5)"}]'
        objects = chart.own((), *ALL_ON, f"monitoring.prometheusRule.thresholds={own}")
        (rules,) = of_kind(objects, "PrometheusRule")
        (group,) = [group for group in rules["spec"]["groups"] if group["name"] == "aiopt-thresholds"]

        assert group["rules"] == [{"record": "aiopt:long_queue_time:threshold_seconds", "expr": "vector(5)"}]

    def test_grafanas_sidecar_finds_the_dashboard(self, chart: Chart) -> None:
        objects = chart.own((), *ALL_ON, "monitoring.dashboard.namespace=grafana")
        dashboard = only(objects, "ConfigMap", "prod-aiopt-dashboard", "grafana")
        source = SOURCE.parents[1] / "monitoring" / "grafana" / "dashboards" / "aiopt.json"

        assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert yaml.safe_load(dashboard["data"]["aiopt.json"]) == yaml.safe_load(source.read_text())
