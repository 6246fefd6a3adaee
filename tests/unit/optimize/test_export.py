from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_aiopt.exceptions import ModelNotFoundError
from airflow_provider_aiopt.optimize import export
from airflow_provider_aiopt.optimize.folder import file_sha256
from airflow_provider_aiopt.optimize.models import CatalogueModel
from airflow_provider_aiopt.spec.card import load_card


@pytest.fixture
def catalogue(cnn: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, CatalogueModel]:
    def assets(folder: Path) -> None:
        (folder / "labels.txt").write_text("a\nb\nc\nd\ne\n")

    def missing(_: Path) -> None:
        raise ModelNotFoundError("no weights")

    def model(name: str, build: Any) -> CatalogueModel:
        return CatalogueModel(
            name=name,
            task="image-classification",
            summary="tiny",
            licence="Apache-2.0",
            distributions=("pydantic",),
            preprocess={"kind": "image", "size": 12},
            build=build,
            assets=assets,
        )

    models = {
        "tiny": model("tiny", lambda file: file.write_bytes(cnn.SerializeToString())),
        "absent": model("absent", missing),
    }
    monkeypatch.setattr(export, "CATALOGUE", models)
    return models


def test_a_model_folder_is_written(catalogue: Any, tmp_path: Path) -> None:
    card = export.export_model("tiny", tmp_path / "out")
    assert load_card(tmp_path / "out") == card
    assert card.sha256 == file_sha256(tmp_path / "out" / "model.onnx")
    assert (card.precision, card.opset, card.labels) == ("fp32", 17, "labels.txt")
    assert card.source[0].startswith("pydantic==")
    assert card.command == "aiopt model export tiny --output out"


def test_an_unknown_name_lists_the_known_ones(catalogue: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no model 'huge' to export; there is: tiny, absent"):
        export.export_model("huge", tmp_path / "out")


def test_missing_weights_leave_nothing_behind(catalogue: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="no weights"):
        export.export_model("absent", tmp_path / "out")
    assert not list(tmp_path.iterdir())
