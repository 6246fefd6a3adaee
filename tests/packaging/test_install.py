"""The wheel in environments of its own: with the newest and the oldest Airflow, and with none."""

from __future__ import annotations

import email
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from dag_test import ROOT, DagTester

from airflow_provider_aiopt.get_provider_info import CONFIG

pytestmark = pytest.mark.packaging

SPEC = ROOT / "examples" / "image_classification.yaml"


def run(*command: object, check: bool = True) -> str:
    ended = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=600, check=False, cwd="/"
    )
    assert not check or ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module", params=["newest", "oldest"])
def airflow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An Airflow in an environment that holds nothing but the wheel and what it needs."""
    environment = request.getfixturevalue(request.param)
    tester = DagTester(tmp_path_factory.mktemp(request.param), python=environment.python)
    tester.is_oldest = request.param == "oldest"
    return tester


def labels(results: Path) -> dict[str, str]:
    return {row["id"]: row["label"] for row in pq.read_table(results).to_pylist()}


def test_airflow_lists_the_provider(airflow: DagTester) -> None:
    shown = airflow.airflow("providers", "get", "airflow-provider-aiopt", "--full", "--output", "json")
    text = next(line for line in shown.splitlines() if line.startswith("[{"))  # Airflow 3.1 logs beside it
    assert json.loads(text)[0]["package-name"] == "airflow-provider-aiopt"
    assert all(f"operators.{name}" in text for name in ("ingest", "preprocess", "inference", "postprocess"))
    assert "timed_stage" in text


def test_airflow_lists_its_options(airflow: DagTester) -> None:
    shown = airflow.airflow("config", "list", "--section", "aiopt", "--include-descriptions")
    assert "[aiopt]" in shown
    for name in CONFIG["aiopt"]["options"]:
        assert f"{name} = " in shown
    assert airflow.airflow("config", "get-value", "aiopt", "work_dir").strip().endswith(str(airflow.work_dir))


def test_airflow_loads_the_plugin(airflow: DagTester) -> None:
    shown = airflow.airflow("plugins", "--output", "json")
    assert "EntryPoint(name='aiopt'" in shown
    assert "aiopt/static/run.html" in shown


def test_airflow_aiopt(airflow: Any) -> None:
    if airflow.is_oldest:
        assert "invalid choice: 'aiopt'" in airflow.airflow("aiopt", "--help", check=False)
        return
    assert "report    show where a run spent its time" in airflow.airflow("aiopt", "--help")


def test_the_template_runs_and_its_run_is_reported(airflow: Any, oldest: Any, newest: Any) -> None:
    workspace = airflow.test("image_classification")

    assert labels(workspace / "results")["coffee.png"] == "espresso"
    aiopt = (oldest if airflow.is_oldest else newest).program("aiopt")
    report = json.loads(run(aiopt, "report", workspace, "--json"))
    assert (report["dag_id"], report["records_in"], report["results"]) == ("image_classification", 6, 6)
    assert [stage["tasks"] for stage in report["stages"]] == [1, 2, 2, 1]


def test_aiopt_run_beside_airflow(newest: Any, tmp_path: Path) -> None:
    run(newest.program("aiopt"), "run", SPEC, "--work-dir", tmp_path, "--run-id", "r")
    assert labels(tmp_path / "image_classification" / "r" / "results")["china.jpg"] == "palace"


def test_the_core_without_airflow(installer: Any, wheel: Path, tmp_path: Path) -> None:
    """The wheel's other requirements suffice; without a runtime one line says what to install."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    needs = [
        need
        for need in metadata.get_all("Requires-Dist", [])
        if "extra ==" not in need and not need.startswith("apache-airflow")
    ]
    core = installer.environment("core")
    installer.install(core, "--no-deps", wheel)
    installer.install(core, "-c", ROOT / "constraints.txt", *needs)
    assert "airflow" not in [path.name for path in core.folder.glob("lib/*/site-packages/airflow")]
    command = [core.program("aiopt"), "run", SPEC, "--work-dir", tmp_path, "--run-id", "r"]

    assert run(*command, check=False) == (
        "aiopt: Running an ONNX model needs the module 'onnxruntime', which is not installed. Install it "
        "with: pip install 'airflow-provider-aiopt[cpu]'\n"
    )

    installer.install(core, "-c", ROOT / "constraints.txt", "onnxruntime")
    assert "6 records in, 6 results, 0 quarantined" in run(*command)
    assert labels(tmp_path / "image_classification" / "r" / "results")["coffee.png"] == "espresso"
