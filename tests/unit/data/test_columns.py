from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from airflow_provider_aiopt.data import columns
from airflow_provider_aiopt.data.columns import (
    bytes_column,
    int_column,
    large_bytes_column,
    number_column,
    text_column,
)

TEXTS = st.lists(st.none() | st.text())
NUMBERS = arrays.arrays(
    st.sampled_from(["uint8", "int32", "int64", "float16", "float32", "float64", "bool"]),
    st.integers(0, 20),
)


@given(TEXTS)
def test_texts_are_what_arrow_makes_of_them(values):
    column = text_column(values)

    column.validate(full=True)
    assert column.equals(pa.array(values, pa.string()))
    assert column.null_count == values.count(None)


@given(st.lists(st.binary()))
def test_bytes_are_what_arrow_makes_of_them(values):
    small, large = bytes_column(values), large_bytes_column(values)

    small.validate(full=True)
    large.validate(full=True)
    assert small.equals(pa.array(values, pa.binary()))
    assert large.equals(pa.array(values, pa.large_binary()))


@given(NUMBERS, st.sampled_from([1, 2, -1]))
def test_numbers_are_what_arrow_makes_of_them_also_with_gaps_between(values, step):
    column = number_column(values[::step])

    column.validate(full=True)
    assert column.type == pa.from_numpy_dtype(values.dtype)
    np.testing.assert_array_equal(column.to_numpy(zero_copy_only=False), values[::step])


def test_contiguous_numbers_are_not_copied():
    values = np.arange(5, dtype=np.float32)

    assert number_column(values).buffers()[1].address == values.ctypes.data


def test_whole_numbers():
    assert int_column([3, -(2**62)]).equals(pa.array([3, -(2**62)], pa.int64()))
    assert int_column([]).type == pa.int64()


def test_what_is_too_large_for_one_array_comes_in_chunks(monkeypatch):
    monkeypatch.setattr(columns, "_INT32_MAX", 3)
    chunked = pa.chunked_array([["ab"], ["cd"]])
    monkeypatch.setattr(pa, "array", lambda values, kind: chunked)

    assert text_column(["a", "bc"]).to_pylist() == ["a", "bc"]
    assert text_column(["ab", "cd"]) is chunked
    assert len(large_bytes_column([b"ab", b"cd"])) == 2


def test_what_is_no_unicode_is_refused():
    with pytest.raises(UnicodeEncodeError):
        text_column(["\udce9"])
