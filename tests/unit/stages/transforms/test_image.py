"""Geometry, orientation and colour of images; hostile bytes are tests/bad_input's."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from airflow_provider_aiopt.data.records import Record
from airflow_provider_aiopt.data.tensors import make_batch
from airflow_provider_aiopt.exceptions import DecodeError, ModelInputError, RecordTooLargeError
from airflow_provider_aiopt.runtimes.base import TensorInfo
from airflow_provider_aiopt.spec import ImagePreprocessSpec
from airflow_provider_aiopt.stages.ingest import _batch
from airflow_provider_aiopt.stages.transforms.image import ImageTransform, decode_image


def noise(width: int, height: int, channels: int = 3, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def encoded(pixels: np.ndarray | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    if isinstance(pixels, np.ndarray):
        pixels = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    stream = io.BytesIO()
    pixels.save(stream, kind, **options)
    return stream.getvalue()


def spec(**settings: Any) -> ImagePreprocessSpec:
    return ImagePreprocessSpec(**{"size": 8, "crop_fraction": 1.0} | settings)


@given(
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    size=st.integers(1, 40),
    fraction=st.sampled_from([0.1, 0.5, 0.875, 1.0]),
    interpolation=st.sampled_from(["bicubic", "bilinear", "lanczos", "nearest"]),
)
def test_the_geometry_is_pillows_crop_and_resize(
    width: int, height: int, size: int, fraction: float, interpolation: str
) -> None:
    pixels = noise(width, height)
    side = max(1, int(min(width, height) * fraction))
    left, top = -((side - width) // 2), -((side - height) // 2)  # the larger half lies before the crop
    expected = Image.fromarray(pixels[top : top + side, left : left + side]).resize(
        (size, size), Image.Resampling[interpolation.upper()]
    )

    made = decode_image(encoded(pixels), spec(size=size, crop_fraction=fraction, interpolation=interpolation))

    np.testing.assert_array_equal(made, np.asarray(expected))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(orientation: int) -> None:
    upright = noise(12, 8)
    stored = {  # what a camera writes so that a viewer shows ``upright``
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation

    made = decode_image(encoded(np.ascontiguousarray(stored), exif=exif), spec())

    np.testing.assert_array_equal(made, upright[:, 2:10])


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_formats_give_the_same_pixels(kind: str) -> None:
    pixels = noise(8, 8)
    options = {"lossless": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(decode_image(encoded(pixels, kind, **options), spec()), pixels)


def test_grey_becomes_three_equal_channels() -> None:
    made = decode_image(encoded(noise(8, 8, 1)), spec())
    assert (made == made[:, :, :1]).all()


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    deep = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    made = decode_image(encoded(Image.fromarray(deep)), spec())
    np.testing.assert_array_equal(made[:, :, 0], deep // 257)


def test_alpha_is_dropped_and_hidden_colours_stay() -> None:
    pixels = noise(8, 8, 4)
    np.testing.assert_array_equal(decode_image(encoded(pixels), spec()), pixels[:, :, :3])


def test_a_transparent_colour_is_a_colour() -> None:
    image = noise(8, 8)
    made = decode_image(encoded(image, transparency=tuple(image[0, 0].tolist())), spec())
    np.testing.assert_array_equal(made, image)


def test_a_palette_with_transparency_gives_its_colours() -> None:
    palette = Image.fromarray(noise(8, 8)).quantize(16)
    expected = np.asarray(palette.convert("RGB"))
    np.testing.assert_array_equal(decode_image(encoded(palette, transparency=3), spec()), expected)


def test_cmyk_is_converted() -> None:
    assert decode_image(encoded(Image.fromarray(noise(8, 8)).convert("CMYK"), "JPEG"), spec()).shape == (
        8,
        8,
        3,
    )


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    made = decode_image(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), spec())
    assert made[0, 0].tolist() == [255, 0, 0]


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(noise(9, 9))
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(RecordTooLargeError, match=r"declares 9x9 pixels; preprocess\.max_pixels allows 80"):
        decode_image(content, spec(max_pixels=80))


@pytest.mark.parametrize("content", [b"no image", encoded(noise(64, 64))[:200]], ids=["text", "truncated"])
def test_bytes_that_are_no_image(content: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_image(content, spec())


class TestBatches:
    def feeds(self, info: TensorInfo, *images: np.ndarray, **settings: Any) -> np.ndarray:
        transform = ImageTransform(spec(**settings))
        with ThreadPoolExecutor(2) as executor:
            columns, errors = transform.prepare([encoded(image) for image in images], executor)
        assert not errors
        records = [Record(str(number), "", b"", "") for number in range(len(images))]
        feeds = transform.feeds(make_batch(_batch(records), columns), [info])
        assert list(feeds) == [info.name]
        return feeds[info.name]

    @pytest.mark.parametrize("layout", ["nchw", "nhwc"])
    def test_values_are_normalised_and_laid_out(self, layout: str) -> None:
        images = [noise(8, 8, seed=seed) for seed in range(3)]
        mean, std = (127.0, 10.0, 0.5), (128.0, 2.0, 0.25)
        expected = ((np.stack(images) - np.array(mean)) / np.array(std)).astype(np.float32)
        if layout == "nchw":
            expected = expected.transpose(0, 3, 1, 2)

        made = self.feeds(TensorInfo("image", "float32", ()), *images, mean=mean, std=std, layout=layout)

        np.testing.assert_allclose(made, expected, rtol=1e-6, atol=1e-6)
        assert made.flags.c_contiguous
        assert made.dtype == np.float32

    def test_a_model_of_bytes_gets_the_pixels(self) -> None:
        image = noise(8, 8)
        made = self.feeds(TensorInfo("image", "uint8", ()), image, mean=(9, 9, 9), layout="nhwc")
        assert made.dtype == np.uint8
        np.testing.assert_array_equal(made[0], image)

    @pytest.mark.parametrize("layout", ["nchw", "nhwc"])
    def test_a_runtime_that_normalises_gets_the_pixels_as_they_were_prepared(self, layout: str) -> None:
        images = [noise(8, 8, seed=seed) for seed in range(2)]
        info = TensorInfo("image", "uint8", None, pixels=True)
        made = self.feeds(info, *images, mean=(9, 9, 9), layout=layout)
        np.testing.assert_array_equal(made, images)

    def test_a_model_of_half_floats_gets_these(self) -> None:
        assert self.feeds(TensorInfo("image", "float16", ()), noise(8, 8)).dtype == np.float16

    def test_a_model_of_strings_is_refused(self) -> None:
        with pytest.raises(ModelInputError, match="a type that no"):
            self.feeds(TensorInfo("image", "tensor(string)", ()), noise(8, 8))


def test_bad_images_are_left_out_and_named_by_their_place() -> None:
    good = encoded(noise(8, 8))
    with ThreadPoolExecutor(2) as executor:
        columns, errors = ImageTransform(spec()).prepare([b"?", good, b"", good], executor)
    assert {index: type(error) for index, error in errors.items()} == {0: DecodeError, 2: DecodeError}
    assert len(columns["tensor"]) == 2


def test_none_but_bad_images_leave_an_empty_column() -> None:
    with ThreadPoolExecutor(1) as executor:
        columns, errors = ImageTransform(spec()).prepare([b"?"], executor)
    assert list(errors) == [0]
    assert len(columns["tensor"]) == 0
