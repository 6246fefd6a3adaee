from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.spec.card import CARD_FILE, ModelCard, load_card, parse_card

VALUES: dict[str, Any] = {
    "name": "tiny",
    "task": "image-classification",
    "file": "model.onnx",
    "sha256": "0" * 64,
    "licence": "Apache-2.0",
    "source": ["tiny==1"],
    "command": "aiopt model export tiny --output tiny",
    "precision": "int8",
    "opset": 20,
    "inputs": [{"name": "image", "dtype": "float32", "shape": ["batch", 3, 8, 8]}],
    "outputs": [{"name": "logits", "dtype": "float32", "shape": ["batch", 2]}],
    "preprocess": {"kind": "image", "size": 8},
    "evaluation": {"n": 3, "agreement": 0.9, "data": "three images"},
}


def test_a_card_reads_back_what_it_wrote() -> None:
    card = ModelCard.model_validate(VALUES)
    assert parse_card(card.to_json(), "it") == card
    assert card.inputs[0].shape == ("batch", 3, 8, 8)


def test_a_card_is_frozen() -> None:
    with pytest.raises(ValidationError):
        ModelCard.model_validate(VALUES).name = "other"  # type: ignore[misc]


def test_it_is_read_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / CARD_FILE).write_text(json.dumps(VALUES))
    assert load_card(tmp_path).sha256 == "0" * 64


def test_a_folder_without_a_card_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"is no model folder.*aiopt model export"):
        load_card(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "must hold a JSON object; found list"),
        (json.dumps({**VALUES, "sha256": "abc"}), "sha256: found 'abc'"),
        (json.dumps({**VALUES, "presicion": "int8"}), "did you mean 'precision'"),
        (json.dumps({**VALUES, "file": "../model.onnx"}), "file: found"),
        (json.dumps({**VALUES, "labels": "/etc/passwd"}), "labels: found"),
        (
            json.dumps({**VALUES, "preprocess": {"kind": "image", "size": 0}}),
            "preprocess.image.size: found 0",
        ),
    ],
)
def test_faults_are_named_with_their_place(content: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_card(content, "some/model.json")
    assert message in str(caught.value)
    assert "some/model.json" in str(caught.value)
