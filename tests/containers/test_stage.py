"""``aiopt stage`` in the runtime image, as in a pod: a container for each task, results for the sidecar."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from container_images import ROOT, podman, run_options

from airflow_provider_aiopt.runner.stage_result import StageResult
from airflow_provider_aiopt.telemetry.reports import STAGES

pytestmark = pytest.mark.containers

XCOM_BYTES = 4096
SPEC = {
    "name": "photographs",
    "source": {"uri": "/photographs", "pattern": ["*.jpg", "*.png"]},
    "model": {"uri": "builtin:efficientnet-lite0-int8"},
    "postprocess": {"kind": "classification"},
    "execution": {"shards": 2},
}
Volume = Callable[[str], Path]


class Pod:
    """Runs tasks in containers that share a work folder and, for Airflow's sidecar, one for results."""

    def __init__(self, image: str, volume: Volume) -> None:
        self.image = image
        self.work, self.xcom = volume("work"), volume("xcom")
        photographs = ROOT / "examples/photographs"
        volumes = [f"{photographs}:/photographs:ro", f"{self.work}:/shared", f"{self.xcom}:/airflow/xcom"]
        self.options = run_options(volumes=volumes)

    def run(self, stage: str, *arguments: str, spec: Any = SPEC, code: int = 0) -> tuple[StageResult, str]:
        """Run a task and return its result and what it wrote to standard error."""
        text = json.dumps(spec)
        command = ("stage", stage, "--spec", text, "--workspace=/shared/run", "--run-id=r", *arguments)
        ended = podman(*self.options, self.image, *command, check=False)
        assert ended.returncode == code, ended.stderr
        content = (self.xcom / "return.json").read_bytes()
        assert len(content) < XCOM_BYTES
        return StageResult.from_json(content, "the sidecar's file"), ended.stderr


@pytest.fixture
def pod(runtime: str, volume: Volume) -> Pod:
    return Pod(runtime, volume)


def test_a_run_with_a_container_for_each_stage(pod: Pod) -> None:
    shards: list[str] = []
    for stage in STAGES:
        result, _ = pod.run(stage, *(f"--shard={reference}" for reference in shards), "--dag-id=d")
        (report,) = result.stage_reports
        assert (report.stage, report.state, report.items_out) == (stage, "success", 6)
        assert report.task is not None
        assert report.task.dag_id == "d"
        shards = list(result.references)
        assert len(shards) == (0 if stage == "postprocess" else 2)
    assert result.results == 6
    assert list((pod.work / "run/results").glob("*.parquet"))


def test_what_no_retry_helps_has_a_code_of_its_own(pod: Pod) -> None:
    wrong = SPEC | {"model": {"uri": "builtin:no-such-model"}}
    result, complaint = pod.run("pipeline", spec=wrong, code=3)
    assert result.retryable is False
    assert "no-such-model" in complaint
    assert "Traceback" not in complaint
