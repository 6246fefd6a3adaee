"""The Airflow image: the provider beside an Airflow that is as it was."""

from __future__ import annotations

import json
import re
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from container_images import ROOT, airflow_base_image, inspect, mounted, podman, run_options
from render_requirements import pins

from airflow_provider_aiopt import __version__

pytestmark = pytest.mark.containers

# One process for all questions: importing Airflow takes longer than answering them.
QUESTIONS = """
import json, os
from importlib.metadata import entry_points
from airflow.configuration import conf
from airflow.providers_manager import ProvidersManager
providers = ProvidersManager().providers
import airflow_provider_aiopt, onnxruntime, tokenizers, s3fs, redis
print("ANSWER", json.dumps({
    "provider": providers["airflow-provider-aiopt"].version,
    "work_dir": conf.get("aiopt", "work_dir"),
    "user": [os.getuid(), os.getgid()],
    "operator": airflow_provider_aiopt.PipelineOperator.__module__,
}))
"""


def installed(image: str) -> dict[str, str]:
    with mounted(image) as root:
        path = [str(folder) for folder in root.glob("home/airflow/.local/lib/python*/site-packages")]
        return {found.metadata["Name"]: found.version for found in distributions(path=path)}


def answers(image: str) -> dict[str, Any]:
    python = ("--entrypoint=/home/airflow/.local/bin/python", image, "-c", QUESTIONS)
    options = [*run_options(), "--tmpfs=/opt/airflow/logs:rw,mode=1777", "--env=AIRFLOW_HOME=/tmp/airflow"]
    shown = podman(*options, *python).stdout
    return dict(json.loads(next(line for line in shown.splitlines() if line.startswith("ANSWER"))[7:]))


def test_airflow_has_the_provider(airflow: str) -> None:
    found = answers(airflow)
    assert found["provider"] == __version__
    assert found["operator"] == "airflow_provider_aiopt.operators.pipeline"
    assert found["user"] == [50000, 0]
    assert found["work_dir"].endswith("/aiopt")


def test_nothing_that_the_base_has_changes(airflow: str) -> None:
    before, after = installed(airflow_base_image()), installed(airflow)
    assert before.items() <= after.items()
    added = {name: version for name, version in after.items() if name not in before}
    assert {"airflow-provider-aiopt", "onnxruntime", "tokenizers"} <= added.keys()
    tested = pins((ROOT / "constraints.txt").read_text())
    ours = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in added.items()}
    assert all(version in tested[name] for name, version in ours.items() if name != "airflow-provider-aiopt")


def test_a_pipeline_runs_in_it(airflow: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    volumes = [f"{ROOT / 'examples'}:/examples:ro", f"{tmp_path}:/opt/airflow/aiopt"]
    run = (
        "--entrypoint=/home/airflow/.local/bin/aiopt",
        airflow,
        "run",
        "/examples/image_classification.yaml",
    )
    podman(
        *run_options(volumes=volumes), *run, "--work-dir=/opt/airflow/aiopt", "--run-id=r", "--mode=streaming"
    )
    assert list(tmp_path.glob("image_classification/r/results/*.parquet"))


def test_the_image_says_what_it_is(airflow: str) -> None:
    config = inspect(airflow)["Config"]
    assert config["User"] == "50000:0"
    assert config["Labels"]["org.opencontainers.image.title"] == "aiopt-airflow"
    with mounted(airflow) as root:
        work = (root / "opt/airflow/aiopt").stat()
        assert (work.st_uid, work.st_gid, work.st_mode & 0o7777) == (50000, 0, 0o2775)
