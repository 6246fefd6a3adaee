from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from airflow_provider_aiopt.exceptions import DecodeError, SourceError
from airflow_provider_aiopt.optimize.samples import SampleOptions, Samples, hold_out, load_samples
from airflow_provider_aiopt.spec.card import ModelCard, load_card

OPTIONS = SampleOptions(crops=3, seed=0)


@pytest.fixture
def card(model_folder: Path) -> ModelCard:
    return load_card(model_folder)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name, shape in (("a.png", (40, 30, 3)), ("b.jpg", (20, 64, 3)), ("grey.png", (25, 25))):
        Image.fromarray(random.integers(0, 255, shape, dtype=np.uint8)).save(folder / name)
    (folder / "README.md").write_text("not an image")
    return folder


def test_images_become_seeded_normalised_crops(photographs: Path, card: ModelCard) -> None:
    samples = load_samples(photographs, card, photographs, OPTIONS)
    pixels = samples.feeds["image"]
    assert (pixels.shape, pixels.dtype) == ((9, 3, 12, 12), np.float32)
    assert -1 <= pixels.min() < pixels.max() <= 1
    assert samples.description == "3 random crops, seed 0, of each of 3 images: a.png, b.jpg, grey.png"
    again = load_samples(photographs, card, photographs, OPTIONS).feeds["image"]
    np.testing.assert_array_equal(pixels, again)


def test_another_seed_gives_other_crops(photographs: Path, card: ModelCard) -> None:
    first, second = (
        load_samples(photographs, card, photographs, SampleOptions(crops=3, seed=seed)).feeds["image"]
        for seed in (0, 1)
    )
    assert not any(np.array_equal(a, b) for a in first for b in second)


def test_crops_take_the_layout_of_the_model(photographs: Path, card: ModelCard) -> None:
    last = card.model_copy(update={"preprocess": {**card.preprocess, "layout": "nhwc"}})
    first = load_samples(photographs, card, photographs, OPTIONS).feeds["image"]
    other = load_samples(photographs, last, photographs, OPTIONS).feeds["image"]
    np.testing.assert_array_equal(other.transpose(0, 3, 1, 2), first)


def test_a_file_that_is_no_image_is_named(photographs: Path, card: ModelCard) -> None:
    (photographs / "broken.png").write_bytes(b"no image")
    with pytest.raises(DecodeError, match=r"broken\.png cannot be decoded"):
        load_samples(photographs, card, photographs, OPTIONS)


def test_a_folder_without_images_is_refused(tmp_path: Path, card: ModelCard) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no images"):
        load_samples(tmp_path / "empty", card, tmp_path, OPTIONS)


def test_arrays_are_taken_as_they_are(calibration: Path, card: ModelCard) -> None:
    samples = load_samples(calibration, card, calibration.parent, OPTIONS)
    assert len(samples) == 40
    assert samples.description == "the 40 records of calibration.npz"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pixels": np.zeros((2, 3))}, "Missing: image"),
        ({"image": np.zeros((0, 3))}, "above 0"),
        ({"image": np.float32(1)}, "lengths: none"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    arrays: dict[str, np.ndarray], message: str, tmp_path: Path, card: ModelCard
) -> None:
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(SourceError, match=message):
        load_samples(tmp_path / "data.npz", card, tmp_path, OPTIONS)


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, card: ModelCard) -> None:
    (tmp_path / "data.npz").write_bytes(b"nothing")
    with pytest.raises(SourceError, match=r"data\.npz cannot be read"):
        load_samples(tmp_path / "data.npz", card, tmp_path, OPTIONS)


def test_pickled_arrays_are_never_loaded(tmp_path: Path, card: ModelCard) -> None:
    np.savez(tmp_path / "data.npz", image=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(SourceError, match="cannot be read"):
        load_samples(tmp_path / "data.npz", card, tmp_path, OPTIONS)


def test_texts_are_tokenised_padded_and_cut(text_model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("word2 word3\n\nword4 nothing word5 word6 word7 word8 word9\n")
    samples = load_samples(tmp_path / "texts.txt", load_card(text_model_folder), text_model_folder, OPTIONS)
    np.testing.assert_array_equal(samples.feeds["input_ids"], [[2, 3, 0, 0, 0, 0], [4, 1, 5, 6, 7, 8]])
    np.testing.assert_array_equal(samples.feeds["attention_mask"][0], [1, 1, 0, 0, 0, 0])
    assert samples.description == "the 2 texts of texts.txt"


def test_a_file_without_text_is_refused(text_model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("\n \n")
    with pytest.raises(SourceError, match="holds no text"):
        load_samples(tmp_path / "texts.txt", load_card(text_model_folder), text_model_folder, OPTIONS)


def test_data_of_the_wrong_kind_are_refused_with_what_is_right(tmp_path: Path, card: ModelCard) -> None:
    (tmp_path / "texts.txt").write_text("a text")
    with pytest.raises(SourceError, match=r"preprocess\.kind is 'image'.*folder of images.*image$"):
        load_samples(tmp_path / "texts.txt", card, tmp_path, OPTIONS)


def test_every_fifth_record_is_held_out() -> None:
    calibration, held_out = hold_out(Samples({"x": np.arange(11)}, "eleven"))
    assert held_out.feeds["x"].tolist() == [4, 9]
    assert calibration.feeds["x"].tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 10]
    assert held_out.description == "eleven, every fifth"


def test_too_few_records_cannot_be_split() -> None:
    with pytest.raises(SourceError, match="4 records; at least 5"):
        hold_out(Samples({"x": np.arange(4)}, "four"))
