"""JPEG files decoded at a fraction of their size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_fixtures import PHOTOGRAPHS
from PIL import Image, JpegImagePlugin
from pipelines import encoded

from airflow_provider_aiopt.exceptions import DecodeError, RecordTooLargeError
from airflow_provider_aiopt.spec import ImagePreprocessSpec
from airflow_provider_aiopt.stages.transforms.image import decode_image


def specs(**settings: Any) -> tuple[ImagePreprocessSpec, ImagePreprocessSpec]:
    settings = {"size": 32} | settings
    return ImagePreprocessSpec(**settings), ImagePreprocessSpec(scaled_decode=True, **settings)


def both(payload: bytes, **settings: Any) -> tuple[np.ndarray, np.ndarray]:
    exact, scaled = (decode_image(payload, spec).astype(int) for spec in specs(**settings))
    return exact, scaled


def ramp(width: int, height: int) -> Image.Image:
    """Red tells the column and green the row: a shift of one pixel is 255 / side."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    planes = [x * 255 / width, y * 255 / height, np.full((height, width), 128.0)]
    return Image.fromarray(np.stack(planes, axis=2).round().astype(np.uint8))


@pytest.fixture
def scales(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The scales that the decoder was set to."""
    found: list[int] = []
    draft = JpegImagePlugin.JpegImageFile.draft

    def watch(self: Any, *arguments: Any) -> Any:
        width = self.width
        made = draft(self, *arguments)
        found.append(round(width / made[1][2]))
        return made

    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "draft", watch)
    return found


@pytest.mark.parametrize(
    ("side", "scale"), [(95, []), (96, [2]), (191, [2]), (192, [4]), (383, [4]), (384, [8]), (2000, [8])]
)
def test_the_crop_keeps_one_and_a_half_times_the_size(side: int, scale: list[int], scales: list[int]) -> None:
    both(encoded(ramp(side, side + 9), "JPEG"), crop_fraction=1.0)
    assert scales == scale


@pytest.mark.parametrize("path", sorted(PHOTOGRAPHS.glob("*.*g")), ids=lambda path: path.name)
@pytest.mark.parametrize("width", [1201, 1999, 4003])
def test_enlarged_photographs_look_the_same(path: Path, width: int) -> None:
    with Image.open(path) as image:
        large = image.convert("RGB").resize((width, image.height * width // image.width))
    exact, scaled = both(encoded(large, "JPEG", quality=90), size=160)
    assert np.abs(exact - scaled).mean() < 2


@given(
    width=st.integers(120, 500),
    height=st.integers(120, 500),
    fraction=st.sampled_from([0.7, 0.875, 1.0]),
    orientation=st.integers(1, 8),
    progressive=st.booleans(),
)
def test_the_field_of_view_is_the_same_to_a_pixel_of_the_source(
    width: int, height: int, fraction: float, orientation: int, progressive: bool
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    payload = encoded(
        ramp(width, height), "JPEG", quality=98, subsampling=0, exif=exif, progressive=progressive
    )
    exact, scaled = both(payload, crop_fraction=fraction, interpolation="bilinear")
    difference = (exact - scaled)[4:-4, 4:-4, :2]
    assert np.abs(difference).max() <= 12
    # What compression and rounding change does not show in the mean.
    shift = np.abs(difference.mean(axis=(0, 1)))
    assert (shift <= 255 / np.array([min(width, height)] * 2) + 0.5).all()


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colour_spaces(mode: str, scales: list[int]) -> None:
    exact, scaled = both(encoded(ramp(400, 300).convert(mode), "JPEG", quality=95))
    assert np.abs(exact - scaled).max() <= 6
    assert scales == [4]


def test_formats_that_know_no_scale_are_decoded_as_ever() -> None:
    exact, scaled = both(encoded(ramp(400, 300), "PNG"))
    np.testing.assert_array_equal(exact, scaled)


def test_small_images_are_decoded_as_ever() -> None:
    exact, scaled = both(encoded(ramp(40, 30), "JPEG"))
    np.testing.assert_array_equal(exact, scaled)


def test_what_is_too_large_is_judged_by_its_own_size() -> None:
    with pytest.raises(RecordTooLargeError, match="declares 400x300 pixels"):
        decode_image(encoded(ramp(400, 300), "JPEG"), specs(max_pixels=119_999)[1])


def test_a_truncated_file_is_refused() -> None:
    payload = encoded(ramp(400, 300), "JPEG")
    with pytest.raises(DecodeError, match="truncated"):
        decode_image(payload[: len(payload) // 2], specs()[1])
