from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from components import requires

requires("airflow.providers.cncf.kubernetes", "make install")

from airflow.providers.cncf.kubernetes.operators.kueue import KubernetesStartKueueJobOperator  # noqa: E402
from airflow.sdk import DAG  # noqa: E402

from airflow_provider_aiopt import KubernetesStageOperator  # noqa: E402  # needs the extra
from airflow_provider_aiopt.airflow.config import pod_resources_option  # noqa: E402  # needs the extra
from airflow_provider_aiopt.airflow.pods import kueue_job, pod_override  # noqa: E402  # the same
from airflow_provider_aiopt.exceptions import ConfigurationError, SpecError  # noqa: E402  # the same

SPEC: dict[str, Any] = {"source": {"uri": "s3://bucket/photos"}, "model": {"uri": "builtin:m"}}
PAGE = Path(__file__).resolve().parents[3] / "docs" / "kubernetes.md"


def test_a_worker_gets_a_gpu() -> None:
    pod = pod_override({"gpus": 1, "memory": "16Gi", "node_selector": {"gpu": "h200"}})
    (container,) = pod.spec.containers
    assert container.name == "base"
    assert container.resources.limits == {"memory": "16Gi", "nvidia.com/gpu": "1"}
    assert (container.image, container.args) == (None, None)
    assert pod.spec.node_selector == {"gpu": "h200"}
    assert pod.spec.tolerations[0].key == "nvidia.com/gpu"


def test_a_wrong_override_is_named() -> None:
    with pytest.raises(ConfigurationError, match="resources is wrong: gpu: Extra inputs"):
        pod_override({"gpu": 1})


def test_airflows_kueue_operator_takes_a_pipeline() -> None:
    job = kueue_job("pipeline", SPEC, "s3://bucket/runs/{{ run_id }}", image="aiopt:1", resources={"gpus": 1})
    task = KubernetesStartKueueJobOperator(task_id="pipeline", queue_name="gpus", **job)
    pod = task.build_pod_request_obj(dry_run=True)
    (container,) = pod.spec.containers
    assert container.image == "aiopt:1"
    assert container.args[:2] == ["stage", "pipeline"]
    assert "--workspace=s3://bucket/runs/{{ run_id }}" in container.args
    assert container.resources.limits["nvidia.com/gpu"] == "1"
    assert task.labels == {"kueue.x-k8s.io/queue-name": "gpus"}
    assert task.suspend is True


def test_a_job_is_given_no_credentials() -> None:
    with pytest.raises(SpecError, match=r"sink\.connection is 'aws'"):
        kueue_job("pipeline", SPEC | {"sink": {"uri": "s3://r/x", "connection": "aws"}}, "/w", image="i")


def test_what_the_deployment_gives_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pod_resources_option() == {}
    monkeypatch.setenv("AIRFLOW__AIOPT__POD_RESOURCES", '{"gpus": 1}')
    assert pod_resources_option() == {"gpus": 1}
    monkeypatch.setenv("AIRFLOW__AIOPT__POD_RESOURCES", '{"gpu": 1}')
    with pytest.raises(ConfigurationError, match=r"\[aiopt\] pod_resources is wrong: gpu: Extra"):
        pod_resources_option()


def test_a_dags_defaults_come_before_the_packages() -> None:
    given = {"termination_message_policy": "File", "startup_timeout_seconds": 7}
    with DAG("defaults", default_args=given):
        task = KubernetesStageOperator(task_id="a", stage="plan", spec=SPEC, pod_resources={"gpus": 1})
        own = KubernetesStageOperator(task_id="b", stage="plan", spec=SPEC, startup_timeout_seconds=9)
    assert (task.termination_message_policy, task.startup_timeout_seconds) == ("File", 7)
    assert (task.schedule_timeout_seconds, task.log_pod_spec_on_failure) == (1800, False)
    assert own.startup_timeout_seconds == 9


def test_the_pages_examples_are_true() -> None:
    scope: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), scope)
    assert scope["plan"].stage == "plan"


def test_without_the_extra_its_name_is_in_the_error() -> None:
    program = (
        "import sys; sys.modules['airflow.providers.cncf.kubernetes.operators.pod'] = None\n"
        "import airflow_provider_aiopt\n"
        "airflow_provider_aiopt.KubernetesStageOperator"
    )
    ended = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode
    assert "pip install 'airflow-provider-aiopt[kubernetes]'" in ended.stderr
