from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.data.records import Record
from airflow_provider_aiopt.data.tensors import array_tensor, make_batch, tensor_array
from airflow_provider_aiopt.exceptions import DeviceOutOfMemoryError, ModelInputError, ModelOutputError
from airflow_provider_aiopt.runtimes.base import TensorInfo
from airflow_provider_aiopt.spec import BatchingSpec, ExecutionSpec, RawOutputSpec
from airflow_provider_aiopt.stages.choose import make_batcher
from airflow_provider_aiopt.stages.inference import InferenceStage
from airflow_provider_aiopt.stages.ingest import _batch
from airflow_provider_aiopt.stages.outputs.vectors import RawHead

INPUT = TensorInfo("x", "float32", (None, 2))


class Inverse:
    """A model that answers 1 / x."""

    inputs = outputs = (INPUT,)
    description = "inverse"
    calls = 0

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.calls += 1
        with np.errstate(all="ignore"):
            return {"y": 1 / feeds["x"]}


class AsIs:
    def prepare(self, *_: Any) -> Any:
        raise NotImplementedError

    def feeds(self, batch: pa.RecordBatch, inputs: Sequence[TensorInfo]) -> Mapping[str, np.ndarray]:
        return {inputs[0].name: array_tensor(batch.column("tensor"))}


def batch(values: Sequence[Sequence[float]]) -> pa.RecordBatch:
    records = [Record(f"r{number}", f"u{number}", b"", "") for number in range(len(values))]
    return make_batch(_batch(records), {"tensor": tensor_array(np.array(values, np.float32))})


DEFAULTS = ExecutionSpec()


def stage(model: Any, execution: ExecutionSpec = DEFAULTS) -> InferenceStage:
    return InferenceStage(model, AsIs(), RawHead(RawOutputSpec()), make_batcher(execution, model))


def test_outputs_stand_beside_the_identity_of_their_records() -> None:
    output = stage(Inverse()).process(batch([[1, 2], [4, 8]]))

    assert output.batch.column("id").to_pylist() == ["r0", "r1"]
    assert output.batch.column_names == ["id", "uri", "sha256", "output"]
    np.testing.assert_array_equal(array_tensor(output.batch.column("output")), [[1, 0.5], [0.25, 0.125]])
    assert output.bad == ()


def test_records_answered_with_nan_or_infinity_are_bad_and_the_others_are_not() -> None:
    output = stage(Inverse()).process(batch([[1, 2], [0, 1], [4, 8], [np.nan, 0]]))

    assert output.batch.column("id").to_pylist() == ["r0", "r2"]
    assert [(bad.id, bad.stage, bad.error_class) for bad in output.bad] == [
        ("r1", "inference", "NonFiniteOutputError"),
        ("r3", "inference", "NonFiniteOutputError"),
    ]
    assert output.bad[1].message == "The model answered 2 NaN or infinite values of 2"


def test_none_but_bad_answers_leave_an_empty_batch() -> None:
    output = stage(Inverse()).process(batch([[0, 0]]))
    assert output.batch.num_rows == 0
    assert len(output.bad) == 1


def test_tensors_that_do_not_fit_never_reach_the_model() -> None:
    model = Inverse()
    with pytest.raises(ModelInputError, match=r"takes x float32 \[\?, 2\], .* x float32 \[1, 3\]"):
        stage(model).process(batch([[1, 2, 3]]))
    assert model.calls == 0


class Growing(Inverse):
    """A model whose answers have as many values as its calls have rows."""

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"y": np.ones((len(feeds["x"]), len(feeds["x"])), np.float32)}


@pytest.mark.parametrize("batch_size", [2, 8], ids=["within a batch", "from batch to batch"])
def test_answers_whose_width_varies_are_refused(batch_size: int) -> None:
    tested = stage(Growing(), ExecutionSpec(batch_size=batch_size))
    with pytest.raises(ModelOutputError, match="1 values per record to one call and 2 to an earlier one"):
        for rows in ([[1, 1]] * 2, [[1, 1]] * 1) if batch_size == 8 else ([[1, 1]] * 3,):
            tested.process(batch(rows))


class Small(Inverse):
    """A model on a device whose memory holds *room* rows; it remembers how many rows its calls had."""

    def __init__(self, room: int, inputs: tuple[TensorInfo, ...] = (INPUT,)) -> None:
        self.room = room
        self.inputs = inputs
        self.rows: list[int] = []

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.rows.append(len(feeds["x"]))
        if len(feeds["x"]) > self.room:
            raise DeviceOutOfMemoryError(f"no room for {len(feeds['x'])} rows")
        return super().run(feeds)


@st.composite
def executions(draw: st.DrawFn) -> ExecutionSpec:
    sizes = draw(st.lists(st.integers(1, 40), unique=True, max_size=4).map(sorted))
    most = sizes[-1] if sizes else draw(st.integers(1, 40))
    if draw(st.booleans()):
        bound = draw(st.none() | st.integers(1, 400))
        batching = BatchingSpec(pad_to=sizes, max_batch_size=most, max_bytes=bound)
        return ExecutionSpec(batch_size="auto", batching=batching)
    return ExecutionSpec(batch_size=most, batching=BatchingSpec(pad_to=sizes))


@given(
    batches=st.lists(st.lists(st.integers(-9, 9), min_size=1, max_size=50), min_size=1, max_size=4),
    execution=executions(),
    room=st.integers(1, 50),
)
def test_whatever_the_policy_and_the_memory_each_record_has_its_own_answer(
    batches: list[list[int]], execution: ExecutionSpec, room: int
) -> None:
    tested = stage(Small(room), execution)
    for numbers in batches:
        output = tested.process(batch([(number, 2) for number in numbers]))
        good = [row for row, number in enumerate(numbers) if number]
        assert output.batch.column("id").to_pylist() == [f"r{row}" for row in good]
        expected = np.array([(1 / numbers[row], 0.5) for row in good], np.float32).reshape(-1, 2)
        np.testing.assert_array_equal(array_tensor(output.batch.column("output")), expected)
        assert [bad.id for bad in output.bad] == [
            f"r{row}" for row, number in enumerate(numbers) if not number
        ]


def test_a_model_with_a_fixed_batch_axis_gets_just_that() -> None:
    model = Small(99, (TensorInfo("x", "float32", (4, 2)),))
    output = stage(model).process(batch([(number, 2) for number in range(1, 7)]))
    assert output.batch.num_rows == 6
    assert model.rows == [4, 4]


def test_memory_that_does_not_hold_one_record_is_an_error_with_a_remedy() -> None:
    with pytest.raises(
        DeviceOutOfMemoryError, match=r"A call of 1 row, the fewest .*model\.device to cpu\. no room for 1"
    ):
        stage(Small(0)).process(batch([[1, 2], [3, 4]]))
