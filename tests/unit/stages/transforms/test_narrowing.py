from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from airflow_provider_aiopt.data.tensors import array_tensor, tensor_array
from airflow_provider_aiopt.exceptions import TransformError
from airflow_provider_aiopt.stages.transforms.narrowing import narrowed


def test_wide_numbers_are_kept_in_fewer_bytes() -> None:
    values = np.arange(12.0).reshape(2, 3, 2)
    made = narrowed("x", tensor_array(values), "uint8")
    assert array_tensor(made).dtype == np.uint8
    assert np.array_equal(array_tensor(made), values)


def test_floats_are_rounded() -> None:
    made = narrowed("x", tensor_array(np.array([0.1, 0.2])), "float32")
    assert np.array_equal(array_tensor(made), np.array([0.1, 0.2], np.float32))


@pytest.mark.parametrize("wrong", [256.0, -1.0, 0.5, np.nan])
def test_an_integer_type_that_loses_a_value_fails_the_task(wrong: float) -> None:
    with pytest.raises(TransformError, match=r"store_as is 'uint8', which cannot hold .* of the column 'x'"):
        narrowed("x", tensor_array(np.array([1.0, wrong])), "uint8")


@pytest.mark.parametrize(
    "column", [pa.array(["a"]), pa.array([[1, 2]]), tensor_array(np.ones((2, 2), np.uint8))]
)
def test_what_is_no_wider_stays_as_it_is(column: pa.Array) -> None:
    assert narrowed("x", column, "float32") is column
