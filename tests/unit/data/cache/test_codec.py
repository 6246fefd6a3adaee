from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.data.cache.codec import (
    DamagedRowsError,
    decode_rows,
    encode_rows,
    head_bytes,
    read_keys,
)
from airflow_provider_aiopt.data.tensors import ragged_array, tensor_array


def keys(count: int) -> list[bytes]:
    return [hashlib.sha256(str(number).encode()).digest() for number in range(count)]


def pixels(count: int) -> pa.RecordBatch:
    values = np.random.default_rng(0).integers(0, 256, (count, 5, 3), dtype=np.uint8)
    return pa.record_batch({"tensor": tensor_array(values)})


def whole(rows: pa.RecordBatch) -> bytes:
    return b"".join(encode_rows(keys(rows.num_rows), rows))


@pytest.mark.parametrize(
    "rows",
    [
        pixels(7),
        pixels(9).slice(2, 3),
        pa.record_batch({"tokens": ragged_array([np.arange(3, dtype=np.int32), np.zeros(0, np.int32)])}),
        pa.record_batch({"tensor": tensor_array(np.array([[1.5, np.nan]], np.float32))}),
    ],
)
def test_rows_come_back_as_they_were(rows: pa.RecordBatch) -> None:
    data = whole(rows)

    assert str(decode_rows(pa.py_buffer(data)).to_pylist()) == str(rows.to_pylist())
    assert decode_rows(pa.py_buffer(data)).schema == rows.schema
    assert read_keys(data[: head_bytes(rows.num_rows)]) == keys(rows.num_rows)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_is_found(place: int, change: int) -> None:
    data = bytearray(whole(pixels(4)))
    data[place % len(data)] ^= change

    if 24 <= place % len(data) < 32:  # the padding of the header holds nothing
        assert decode_rows(pa.py_buffer(bytes(data))) == pixels(4)
    else:
        with pytest.raises(DamagedRowsError):
            decode_rows(pa.py_buffer(bytes(data)))


@given(st.integers(0, 10_000))
def test_a_missing_end_is_found(length: int) -> None:
    data = whole(pixels(4))

    with pytest.raises(DamagedRowsError):
        decode_rows(pa.py_buffer(data[: length % len(data)]))


def test_a_hole_is_found() -> None:
    data = whole(pixels(400))
    holed = data[:4096] + bytes(1024) + data[5120:]

    with pytest.raises(DamagedRowsError, match="checksum"):
        decode_rows(pa.py_buffer(holed))


@pytest.mark.parametrize("head", [b"", b"x" * 31, b"x" * 64, whole(pixels(4))[: head_bytes(4) - 1]])
def test_keys_that_are_none(head: bytes) -> None:
    with pytest.raises(DamagedRowsError):
        read_keys(head)
