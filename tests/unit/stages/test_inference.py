from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from airflow_provider_aiopt.data.records import Record
from airflow_provider_aiopt.data.tensors import array_tensor, make_batch, tensor_array
from airflow_provider_aiopt.exceptions import ModelInputError
from airflow_provider_aiopt.runtimes.base import TensorInfo
from airflow_provider_aiopt.spec import RawOutputSpec
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


def stage(model: Inverse) -> InferenceStage:
    return InferenceStage(model, AsIs(), RawHead(RawOutputSpec()))


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
