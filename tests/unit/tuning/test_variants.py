from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.spec.model import ModelSpec
from airflow_provider_aiopt.tuning.variants import sibling_models


def model(folder: Path, digest: str, original: str | None = None) -> str:
    tensor = {"name": "x", "dtype": "float32", "shape": ["batch", 2]}
    card: dict[str, Any] = {
        "name": folder.name,
        "task": "other",
        "file": "model.onnx",
        "sha256": digest * 64,
        "licence": "MIT",
        "source": [],
        "command": "made",
        "precision": "fp32" if original is None else "int8",
        "opset": 18,
        "inputs": [tensor],
        "outputs": [tensor],
    }
    if original is not None:
        card["original"] = {"name": "model", "sha256": original * 64, "command": "made"}
    folder.mkdir()
    (folder / "model.json").write_text(json.dumps(card))
    return str(folder)


def test_the_same_model_in_other_precisions_lies_beside_it(tmp_path: Path) -> None:
    fp32 = model(tmp_path / "fp32", "a")
    int8 = model(tmp_path / "int8", "b", original="a")
    fp16 = model(tmp_path / "fp16", "c", original="a")
    model(tmp_path / "other", "d")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.json").write_text("{}")
    (tmp_path / "file").touch()
    assert sibling_models(ModelSpec(uri=fp32)) == (fp16, int8)
    assert sibling_models(ModelSpec(uri=int8)) == (fp16, fp32)


def test_models_without_a_card_have_none(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    for uri in (str(tmp_path / "model.onnx"), "builtin:efficientnet-lite0-int8", "s3://bucket/model"):
        assert sibling_models(ModelSpec(uri=uri)) == ()
