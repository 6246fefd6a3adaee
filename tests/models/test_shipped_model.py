"""The shipped model is what its card says: built by our commands from the published weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from model_fixtures import PHOTOGRAPHS, SHIPPED
from PIL import Image

from airflow_provider_aiopt.optimize.folder import file_sha256
from airflow_provider_aiopt.optimize.sessions import run_model
from airflow_provider_aiopt.spec.card import load_card

EXPECTED = {
    "chelsea.png": {"Egyptian cat", "tiger cat", "tabby"},
    "china.jpg": {"palace"},
    "coffee.png": {"espresso"},
    "flower.jpg": {"daisy"},
    "motorcycle_left.png": {"moped"},
}

CLOSE = 0.02
"""Difference of two scores that another processor's rounding may make."""


def _square(name: str) -> np.ndarray:
    """Prepare a photograph as the weights' authors do."""
    image = Image.open(PHOTOGRAPHS / name).convert("RGB")
    side = min(image.size) * 224 / (224 + 32)
    left, top = ((length - side) / 2 for length in image.size)
    square = image.resize((224, 224), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    return ((np.asarray(square, dtype=np.float32) - 127) / 128).transpose(2, 0, 1)


@pytest.fixture(scope="module")
def photographs() -> dict[str, np.ndarray]:
    return {"image": np.stack([_square(name) for name in EXPECTED])}


def _scores(folder: Path, photographs: dict[str, np.ndarray]) -> np.ndarray:
    logits = run_model(folder / "model.onnx", photographs)[0]
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def _first(folder: Path, photographs: dict[str, np.ndarray]) -> list[str]:
    labels = (folder / "labels.txt").read_text(encoding="utf-8").splitlines()
    return [labels[index] for index in _scores(folder, photographs).argmax(axis=1)]


def test_it_recognises_the_photographs(photographs: dict[str, np.ndarray]) -> None:
    for label, allowed in zip(_first(SHIPPED, photographs), EXPECTED.values(), strict=True):
        assert label in allowed


def test_its_card_pins_its_file() -> None:
    card = load_card(SHIPPED)
    assert card.sha256 == file_sha256(SHIPPED / card.file)
    assert card.name == "efficientnet-lite0-int8"


def test_its_labels_are_a_thousand_different_names() -> None:
    labels = (SHIPPED / "labels.txt").read_text(encoding="utf-8").splitlines()
    assert len(labels) == len(set(labels)) == 1000
    assert not any("," in label for label in labels)


def test_it_holds_no_path_of_the_machine_that_made_it() -> None:
    content = (SHIPPED / "model.onnx").read_bytes()
    assert not any(mark in content for mark in (b"site-packages", b"/home/", b"/tmp/", b"stack_trace"))


def test_the_original_recognises_the_photographs(
    efficientnet_lite0_fp32: Path, photographs: dict[str, np.ndarray]
) -> None:
    for label, allowed in zip(_first(efficientnet_lite0_fp32, photographs), EXPECTED.values(), strict=True):
        assert label in allowed


def test_the_original_answers_what_the_module_answers(
    efficientnet_lite0_fp32: Path, photographs: dict[str, np.ndarray]
) -> None:
    import torch

    from airflow_provider_aiopt.optimize.models import load_efficientnet_lite0

    with torch.inference_mode():
        expected = load_efficientnet_lite0()(torch.from_numpy(photographs["image"])).numpy()
    answered = run_model(efficientnet_lite0_fp32 / "model.onnx", photographs)[0]
    np.testing.assert_allclose(answered, expected, atol=1e-4)


def test_exporting_again_gives_the_original(efficientnet_lite0_fp32: Path) -> None:
    card, original = load_card(efficientnet_lite0_fp32), load_card(SHIPPED).original
    assert original is not None
    shipped = load_card(SHIPPED).versions
    if any(card.versions[name] != shipped[name] for name in card.versions):
        pytest.skip("other versions of the exporter write the same graph in other words")
    assert card.sha256 == original.sha256
    assert card.command == original.command


def test_quantising_again_gives_the_shipped_answers(
    efficientnet_lite0_int8: Path, photographs: dict[str, np.ndarray]
) -> None:
    # On the same processor and versions even the files are the same; elsewhere the last bits differ.
    again, shipped = (_scores(folder, photographs) for folder in (efficientnet_lite0_int8, SHIPPED))
    np.testing.assert_allclose(again, shipped, atol=CLOSE)


def test_quantising_again_gives_the_shipped_card(efficientnet_lite0_int8: Path) -> None:
    again, shipped = load_card(efficientnet_lite0_int8), load_card(SHIPPED)
    measured = {"sha256", "evaluation", "versions", "source", "opset", "original"}
    assert again.model_dump(exclude=measured) == shipped.model_dump(exclude=measured)
    assert set(again.evaluation) == set(shipped.evaluation)
    assert again.evaluation["data"] == shipped.evaluation["data"]
    assert again.evaluation["agreement"] == pytest.approx(shipped.evaluation["agreement"], abs=CLOSE)


def test_labels_and_licences_are_the_shipped_ones(efficientnet_lite0_int8: Path) -> None:
    for name in ("labels.txt", "LICENSE", "LICENSE-labels"):
        assert (efficientnet_lite0_int8 / name).read_bytes() == (SHIPPED / name).read_bytes()
