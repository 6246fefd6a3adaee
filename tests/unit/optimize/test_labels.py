from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from airflow_provider_aiopt.exceptions import SourceError
from airflow_provider_aiopt.optimize.samples import SampleOptions, hold_out, load_samples
from airflow_provider_aiopt.spec.card import load_card


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("b.png", "a.png"):
        Image.new("RGB", (20, 16), "red").save(folder / name)
    return folder


def _labels(images: Path, model: Path, table: str) -> list[int] | None:
    (images / "labels.csv").write_text(table, encoding="utf-8")
    found = load_samples(images, load_card(model), model, SampleOptions(crops=2, seed=0)).labels
    return None if found is None else found.tolist()


def test_every_crop_has_the_class_of_its_image(images: Path, model_folder: Path) -> None:
    assert _labels(images, model_folder, "b.png,class 4\na.png, class 1\n\n") == [1, 1, 4, 4]


def test_without_a_table_there_are_no_labels(images: Path, model_folder: Path) -> None:
    card = load_card(model_folder)
    assert load_samples(images, card, model_folder, SampleOptions(crops=2, seed=0)).labels is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("a.png,class 1\n", r"has no line for b\.png"),
        ("a.png,class 1\nb.png,class 9\n", r"names classes that tiny does not know: class 9\. Write them"),
        ("a.png\n", r"must have two columns, file and class; found \['a\.png'\]"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(
    images: Path, model_folder: Path, table: str, message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        _labels(images, model_folder, table)


def test_arrays_have_their_labels_beside_them(model_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "data.npz"
    np.savez(file, image=np.zeros((6, 3, 12, 12), np.float32), label=np.arange(6) % 5)
    samples = load_samples(file, load_card(model_folder), model_folder, SampleOptions(crops=1, seed=0))
    assert samples.labels is not None
    assert samples.labels.tolist() == [0, 1, 2, 3, 4, 0]
    kept, held = hold_out(samples)
    assert kept.labels is not None
    assert held.labels is not None
    assert (kept.labels.tolist(), held.labels.tolist()) == ([0, 1, 2, 3, 0], [4])


@pytest.mark.parametrize("label", [np.zeros(5, np.int64), np.zeros(6)])
def test_labels_must_be_an_index_for_each_record(
    model_folder: Path, tmp_path: Path, label: np.ndarray
) -> None:
    file = tmp_path / "data.npz"
    np.savez(file, image=np.zeros((6, 3, 12, 12), np.float32), label=label)
    with pytest.raises(SourceError, match=r"must hold a class index for each of the 6 records"):
        load_samples(file, load_card(model_folder), model_folder, SampleOptions(crops=1, seed=0))
