"""The upload template with a task for each stage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from dag_test import ROOT, DagTester

from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.data.versions import local_version
from airflow_provider_aiopt.spec.uploads import load_watch_spec
from airflow_provider_aiopt.uploads.payloads import CONF_KEY, make_payload
from airflow_provider_aiopt.uploads.state import open_state

pytestmark = pytest.mark.integration

PATTERNS = ["*.jpg", "*.jpeg", "*.png", "*.webp", "*.gif", "*.bmp", "*.tif", "*.tiff"]


def test_it_classifies_what_the_run_was_started_for(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for name in ("coffee.png", "rocket.jpg"):
        shutil.copy(ROOT / "examples" / "photographs" / name, inbox)
    tester = DagTester(tmp_path / "airflow")
    spec = load_watch_spec({"uri": str(inbox), "pattern": PATTERNS, "recursive": True})
    status = (inbox / "coffee.png").stat()
    upload = Upload(f"file://{inbox}/coffee.png", status.st_size, local_version(status), 0.0)
    state = open_state(spec, default=str(tester.work_dir / "uploads"))

    run = tester.test(
        "image_classification_direct",
        {CONF_KEY: make_payload(spec, [upload], state)},
        env={"AIRFLOW__AIOPT__UPLOADS_URI": str(inbox), "AIRFLOW__AIOPT__UPLOADS_MODE": "staged"},
    )

    assert {path.name for path in run.iterdir()} >= {"ingest", "preprocess", "inference", "postprocess"}
    rows = [row for path in run.glob("results/*.parquet") for row in pq.read_table(path).to_pylist()]
    assert [(Path(row["uri"]).name, row["label"]) for row in rows] == [("coffee.png", "espresso")]
