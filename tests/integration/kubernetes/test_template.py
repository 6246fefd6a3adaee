"""The template that runs in pods, executed by a real Airflow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from components import requires
from dag_test import DagTester
from kubernetes_server import FakeKubernetes
from pipelines import CLI, account

from airflow_provider_aiopt.data.folder import Folder

requires("airflow.providers.cncf.kubernetes", "make install")

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).parents[3]


def test_the_template_runs_in_pods(dag_tester: DagTester, tmp_path: Path) -> None:
    claims = {str(tmp_path): "photographs"}
    image = "registry.example.org/aiopt-runtime:test"
    with FakeKubernetes(
        tmp_path, images={image: CLI}, namespaces=("ai",), claims={"photographs": tmp_path}
    ) as cluster:
        cluster.node.environment = {"PYTHONPATH": str(REPOSITORY), "HOME": str(tmp_path)}
        environment = {
            "KUBECONFIG": str(cluster.kubeconfig),
            "AIRFLOW_CONN_KUBERNETES_DEFAULT": json.dumps(
                {"conn_type": "kubernetes", "extra": {"kube_config_path": str(cluster.kubeconfig)}}
            ),
            "AIRFLOW__AIOPT__POD_IMAGE": image,
            "AIRFLOW__AIOPT__POD_NAMESPACE": "ai",
            "AIRFLOW__AIOPT__POD_RESOURCES": json.dumps({"claims": claims}),
        }
        source = str(REPOSITORY / "examples" / "photographs")
        conf = {"source": source, "shards": 2, "image": image}
        workspace = dag_tester.test("image_classification_kubernetes", conf, env=environment)
        assert cluster.created() == 3  # a plan and two shards
        assert cluster.pods_left() == []
    folder = Folder.open(str(workspace))
    rows = account(folder, folder.child("results")).rows
    assert len(rows) == 6
    assert rows["coffee.png"]["label"] == "espresso"
