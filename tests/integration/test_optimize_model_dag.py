"""The template that makes forms of a model and publishes the fastest, run whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dag_test import DagTester
from tiny_models import OPEN_GATE, write_images, write_tiny_cnn

from airflow_provider_aiopt.spec.card import load_card

pytestmark = pytest.mark.integration


def test_forms_are_made_judged_compared_and_the_best_is_published(
    dag_tester: DagTester, tmp_path: Path
) -> None:
    model, published = write_tiny_cnn(tmp_path / "tiny"), tmp_path / "published"
    params = {
        "model": str(model),
        "calibration": str(write_images(tmp_path / "images.npz")),
        "amount": 0.3,
        "publish": str(published),
        **OPEN_GATE,
    }
    workspace = dag_tester.test("optimize_model", params)

    report = json.loads((workspace / "models.json").read_text())
    assert [item["precision"] for item in report["models"]] == ["fp32", "int8", "fp32"]
    assert {path.name for path in (workspace / "models").iterdir()} == {"quantize", "prune"}
    best = min(report["models"], key=lambda item: item["latency"]["16"]["p50_s"])
    assert load_card(published).sha256 == best["sha256"]

    strict = dag_tester.test("optimize_model", params | {"max_score_error": 1e-9, "publish": None})
    assert not (strict / "models").exists() or not list((strict / "models").iterdir())
    (only,) = json.loads((strict / "models.json").read_text())["models"]
    assert only["sha256"] == load_card(model).sha256, "both forms were refused: the model is left"
