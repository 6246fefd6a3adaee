from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from airflow_provider_aiopt.data.encoding import encode_record
from airflow_provider_aiopt.exceptions import (
    DecodeError,
    EmptyRecordError,
    RecordError,
    RecordTooLargeError,
    SpecError,
)
from airflow_provider_aiopt.spec import SourceSpec

PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


class Tensor:
    """As torch and TensorFlow have them."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def detach(self) -> Tensor:
        return self

    cpu = detach

    def numpy(self) -> np.ndarray:
        return self.array


class TorchTensor(Tensor):
    __module__ = "torch"


def encode(value: Any, *columns: str, **settings: Any) -> bytes:
    spec = SourceSpec(uri="python:a.b", format="python", columns=columns, **settings)
    return encode_record(value, spec)


def decoded(payload: bytes) -> Any:
    with Image.open(io.BytesIO(payload)) as image:
        assert image.format == "PNG"
        return np.asarray(image)


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        (b"x", b"x"),
        (bytearray(b"x"), b"x"),
        pytest.param(memoryview(b"x"), b"x", id="memoryview"),
        ("é", "é".encode()),
        (3, b"[3]"),
        (np.float32(0.5), b"[0.5]"),
        (np.bytes_(b"x"), b"x"),
        (np.str_("x"), b"x"),
        (np.array(b"x", object), b"x"),
        pytest.param(Tensor(np.array(7)), b"[7]", id="tensor"),
    ],
    ids=repr,
)
def test_single_values(value: Any, payload: bytes) -> None:
    assert encode(value) == payload


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (PIXELS, PIXELS),
        (PIXELS[:, :, 0], PIXELS[:, :, 0]),
        (PIXELS[:, :, :1], PIXELS[:, :, 0]),
        (PIXELS[:, ::-1], PIXELS[:, ::-1]),
        (Tensor(PIXELS), PIXELS),
        (TorchTensor(PIXELS.transpose(2, 0, 1)), PIXELS),
        (Image.fromarray(PIXELS), PIXELS),
        (Image.fromarray(PIXELS).convert("L"), np.asarray(Image.fromarray(PIXELS).convert("L"))),
        (Image.new("CMYK", (2, 2)), np.full((2, 2, 3), 255)),
    ],
    ids=range(9),
)
def test_images_and_pixels_become_the_same_png_each_time(value: Any, expected: Any) -> None:
    payload = encode(value)

    assert np.array_equal(decoded(payload), expected)
    assert encode(value) == payload


def test_an_image_keeps_its_orientation() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, "PNG", exif=exif)
    with Image.open(stream) as image, Image.open(io.BytesIO(encode(image))) as again:
        assert again.getexif()[0x0112] == 6


@pytest.mark.parametrize(
    ("value", "columns", "payload"),
    [
        ({"a": "x", "b": 1}, ["a"], b"x"),
        ({"a": "x", "b": np.int64(1)}, ["b", "a"], b'[1, "x"]'),
        (("x", 3), ["0"], b"x"),
        ([1, 2.5, 3], ["0", "2"], b"[1, 3]"),
        (np.array([1.5, 2.5]), ["1", "0"], b"[2.5, 1.5]"),
        ({7: "x"}, ["7"], b"x"),
        ({"a": np.array([1, 2])}, ["a"], b"[[1, 2]]"),
    ],
)
def test_columns_choose_by_key_or_position(value: Any, columns: list[str], payload: bytes) -> None:
    assert encode(value, *columns) == payload


def test_a_column_may_hold_an_image() -> None:
    assert np.array_equal(decoded(encode((PIXELS, 3), "0")), PIXELS)


@pytest.mark.parametrize(
    ("value", "columns", "said"),
    [
        ("x", ["a"], r"source\.columns: a, but the records of python:a\.b are of type str"),
        ({"a": 1, "b": 2}, [], r"source\.columns: missing; the records .* of type dict with a, b"),
        ((1, 2), [], r"source\.columns: missing; the records .* of type tuple with 0, 1"),
    ],
)
def test_columns_that_do_not_fit_are_an_error_of_the_spec(value: Any, columns: list[str], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        encode(value, *columns)


class Hostile:
    @property
    def ndim(self) -> int:
        raise ZeroDivisionError("on purpose")


@pytest.mark.parametrize(
    ("value", "columns", "error", "said"),
    [
        (PIXELS.astype(np.float32), [], DecodeError, r"float32 and shape \[2, 3, 3\] is no image; allowed"),
        (np.zeros((2, 3, 2), np.uint8), [], DecodeError, r"shape \[2, 3, 2\] is no image"),
        (np.zeros((1, 2, 3, 3), np.uint8), [], DecodeError, r"shape \[1, 2, 3, 3\] is no image"),
        ({"b": 1}, ["a"], DecodeError, "no value for 'a'; it has 'b'"),
        ({"a": None}, ["a"], DecodeError, "no value for 'a'"),
        ({"a": b"x", "b": 1}, ["a", "b"], DecodeError, "bytes is not JSON"),
        (object(), [], DecodeError, "object is not JSON"),
        (Hostile(), [], DecodeError, "ZeroDivisionError: on purpose"),
        (b"", [], EmptyRecordError, "The column 'record' is empty"),
        (b"x" * 100, [], RecordTooLargeError, "has 100 bytes"),
    ],
)
def test_one_record_that_cannot_be_encoded(
    value: Any, columns: list[str], error: type[RecordError], said: str
) -> None:
    with pytest.raises(error, match=said):
        encode(value, *columns, max_record_bytes=99)
