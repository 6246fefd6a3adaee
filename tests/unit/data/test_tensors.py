from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.data.tensors import (
    IDENTITY_COLUMNS,
    array_tensor,
    drop_rows,
    gather_rows,
    identity_schema,
    make_batch,
    ragged_array,
    tensor_array,
)

DTYPES = ["uint8", "int32", "int64", "float16", "float32", "float64"]


def identity(rows: int) -> pa.RecordBatch:
    columns = [[f"{name}{row}" for row in range(rows)] for name in IDENTITY_COLUMNS]
    return pa.RecordBatch.from_arrays(
        [pa.array(values, pa.string()) for values in columns], schema=identity_schema()
    )


@given(
    dtype=st.sampled_from(DTYPES),
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    rows=st.integers(0, 4),
)
def test_tensors_survive(dtype: str, shape: list[int], rows: int) -> None:
    values = np.arange(rows * np.prod(shape), dtype=dtype).reshape(rows, *shape)
    column = tensor_array(values)
    again = array_tensor(column)

    assert len(column) == rows
    assert again.dtype == values.dtype
    assert again.shape == values.shape
    np.testing.assert_array_equal(again, values)


@pytest.mark.parametrize("rows", [0, 3])
def test_one_axis_makes_an_ordinary_column(rows: int) -> None:
    values = np.arange(rows, dtype=np.float32)
    column = tensor_array(values)

    assert column.type == pa.float32()
    np.testing.assert_array_equal(array_tensor(column), values)


def test_nothing_is_copied_on_the_way_in_or_out() -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)

    assert np.shares_memory(array_tensor(tensor_array(values)), values)
    assert (
        np.shares_memory(array_tensor(tensor_array(values[:, 0, 0].copy())), values) is False
    )  # the test can fail


def test_a_slice_is_the_rows_it_says() -> None:
    values = np.arange(12, dtype=np.uint8).reshape(4, 3)

    np.testing.assert_array_equal(array_tensor(tensor_array(values).slice(1, 2)), values[1:3])


def test_other_memory_layouts_are_put_in_order() -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(0, 2, 1)

    np.testing.assert_array_equal(array_tensor(tensor_array(values)), values)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4, 3), (3, 0), (1, 2, 2)])
def test_a_tensor_column_has_the_type_that_arrow_gives_it(shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)

    column = tensor_array(values)

    column.validate(full=True)
    # Rows of earlier versions, in shards and caches, are joined with new ones.
    assert column.type == pa.fixed_shape_tensor(pa.uint8(), shape[1:], permutation=range(len(shape) - 1))
    if 0 not in shape:
        assert column.equals(pa.FixedShapeTensorArray.from_numpy_ndarray(values))
    np.testing.assert_array_equal(array_tensor(column), values)


def test_ragged_rows() -> None:
    column = ragged_array([np.array([1, 2], np.int32), np.array([], np.int32), np.array([3], np.int32)])

    assert column.to_pylist() == [[1, 2], [], [3]]
    assert ragged_array([]).type == column.type == pa.list_(pa.int32())


def test_a_batch_carries_the_identity_and_the_data() -> None:
    batch = make_batch(identity(2), {"tensor": tensor_array(np.zeros((2, 3), np.float32))})

    assert batch.schema.names == [*IDENTITY_COLUMNS, "tensor"]
    assert batch.column("uri").to_pylist() == ["uri0", "uri1"]


@given(st.integers(0, 6), st.sets(st.integers(0, 5)))
def test_dropping_rows_keeps_the_others_in_order(rows: int, dropped: set[int]) -> None:
    chosen = [row for row in dropped if row < rows]
    values = np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)
    batch = drop_rows(make_batch(identity(rows), {"tensor": tensor_array(values)}), chosen)
    kept = [row for row in range(rows) if row not in dropped]

    assert batch.column("id").to_pylist() == [f"id{row}" for row in kept]
    np.testing.assert_array_equal(array_tensor(batch.column("tensor")), values[kept].reshape(len(kept), 2))


def test_dropping_nothing_changes_nothing() -> None:
    batch = identity(3)

    assert drop_rows(batch, []) is batch


class TestGatherRows:
    def pieces(self) -> list[pa.RecordBatch]:
        values = np.arange(36, dtype=np.uint8).reshape(12, 3)
        whole = pa.record_batch({"tensor": tensor_array(values), "number": tensor_array(values[:, 0].copy())})
        return [whole.slice(0, 5), whole.slice(5)]

    def test_rows_come_in_the_order_asked_for(self) -> None:
        gathered = gather_rows(self.pieces(), [(1, 0), (0, 4), (0, 0), (0, 1), (1, 0)])

        assert gathered.column("number").to_pylist() == [15, 12, 0, 3, 15]
        assert array_tensor(gathered.column("tensor"))[:, 0].tolist() == [15, 12, 0, 3, 15]

    def test_neighbours_are_not_copied(self) -> None:
        pieces = self.pieces()
        gathered = gather_rows(pieces, [(1, 2), (1, 3), (1, 4)])

        assert np.shares_memory(array_tensor(gathered.column(0)), array_tensor(pieces[1].column(0)))
        assert gathered.column("number").to_pylist() == [21, 24, 27]
