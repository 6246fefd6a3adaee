"""Comparing fast preprocessing with the exact one, over images whose largest channel is the answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx_models import image_model
from PIL import Image
from pipelines import encoded

from airflow_provider_aiopt.exceptions import PreprocessAccuracyError, SourceError, SpecError
from airflow_provider_aiopt.optimize.preprocess import PreprocessComparison, compare_preprocessing
from airflow_provider_aiopt.spec import load_spec
from airflow_provider_aiopt.stages.transforms import image

SIZE = 16
COLOURS = ("red", "lime", "blue")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve JPEG files that are large enough to be decoded at a quarter."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        picture = Image.new("RGB", (200, 120 + number), COLOURS[number % 3])
        (folder / f"{number:02d}.jpg").write_bytes(encoded(picture, "JPEG"))
    return folder


def compare(folder: Path, sample: int = 64, seed: int = 0, **sections: Any) -> PreprocessComparison:
    spec = {
        "source": {"uri": str(folder)},
        "preprocess": {"kind": "image", "size": SIZE, "scaled_decode": True},
        "model": {"uri": str(image_model(folder.parent / "model.onnx", size=SIZE)), "device": "cpu"},
        "postprocess": {"kind": "classification"},
        "execution": {"batch_size": 5},
    }
    return compare_preprocessing(load_spec(spec | sections), sample=sample, seed=seed)


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fast preprocessing that mistakes red for green."""
    resize_crop = image.resize_crop

    def swap(pixels: Image.Image, *arguments: Any) -> Image.Image:
        values = np.asarray(resize_crop(pixels, *arguments))
        return Image.fromarray(np.where(values[..., :1] > 128, values[..., [1, 0, 2]], values))

    monkeypatch.setattr(image, "resize_crop", swap)


def test_good_settings_agree_and_cost_is_told(photos: Path) -> None:
    found = compare(photos)
    assert found.settings == {"scaled_decode": True}
    assert (found.sampled, found.unusable, found.one_sided, found.agreement) == (12, 0, 0, 1.0)
    assert found.evaluation.n == 12
    assert found.max_pixel_difference <= 2
    assert min(found.exact.cpu_s, found.fast.cpu_s, found.exact.wall_s, found.fast.wall_s) > 0
    found.check(1.0)


@pytest.mark.usefixtures("wrong")
def test_settings_that_change_answers_do_not_pass(photos: Path) -> None:
    found = compare(photos)
    assert found.agreement == pytest.approx(2 / 3)
    assert found.max_pixel_difference > 200
    found.check(0.66)
    with pytest.raises(
        PreprocessAccuracyError, match=r"scaled_decode True, 66\.67% of 12 .* asks for 67\.00%"
    ):
        found.check(0.67)


def test_a_record_that_only_one_way_can_prepare_counts_as_another_answer(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pixels: Image.Image, *_: Any) -> Image.Image:
        if pixels.getpixel((0, 0))[0] > 128:
            raise ValueError("red")
        return pixels.resize((SIZE, SIZE))

    monkeypatch.setattr(image, "resize_crop", refuse)
    found = compare(photos)
    assert (found.one_sided, found.evaluation.n) == (4, 8)
    assert found.agreement == pytest.approx(8 / 12)


def test_what_neither_way_can_prepare_is_left_out(photos: Path) -> None:
    (photos / "13.jpg").write_bytes(b"no image")
    found = compare(photos)
    assert (found.sampled, found.unusable, found.agreement) == (13, 1, 1.0)


def test_the_sample_is_chosen_by_the_seed(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    decode = image.decode_image
    monkeypatch.setattr(
        image, "decode_image", lambda payload, spec: (seen.append(payload), decode(payload, spec))[1]
    )

    def chosen(seed: int) -> set[bytes]:
        seen.clear()
        assert compare(photos, sample=4, seed=seed).sampled == 4
        return set(seen)

    assert chosen(0) == chosen(0)
    assert len({frozenset(chosen(seed)) for seed in range(5)}) > 1


def test_rows_are_sampled_in_blocks(photos: Path) -> None:
    payloads = [path.read_bytes() for path in sorted(photos.iterdir())] * 3
    rows = photos.parent / "rows.parquet"
    pq.write_table(pa.table({"image": payloads}), rows)
    source = {"uri": str(rows), "format": "parquet", "columns": ["image"]}
    assert compare(photos, sample=20, source=source).sampled == 20


@pytest.mark.parametrize("kind", ["embedding", "raw"])
def test_vectors_are_compared_too(photos: Path, kind: str) -> None:
    postprocess = {"kind": kind} | ({"pooling": "none"} if kind == "embedding" else {})
    assert compare(photos, postprocess=postprocess).evaluation.max_score_error < 5


@pytest.mark.parametrize("preprocess", [{"kind": "image", "size": SIZE}, {"kind": "text"}])
def test_a_spec_without_fast_settings_is_refused(photos: Path, preprocess: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="has no fast preprocessing to compare"):
        compare(photos, preprocess=preprocess)


def test_a_source_without_any_image_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a").write_bytes(b"no image")
    with pytest.raises(SourceError, match="None of the 1 sampled records"):
        compare(folder)
    (folder / "a").write_bytes(b"")
    with pytest.raises(SourceError, match="has 1 records, and none of those sampled can be read"):
        compare(folder)


def test_a_missing_backend_is_named(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    preprocess = {"kind": "image", "size": SIZE, "resize_backend": "torch"}
    with pytest.raises(ImportError, match=r"airflow-provider-aiopt\[torch\]"):
        compare(photos, preprocess=preprocess)
