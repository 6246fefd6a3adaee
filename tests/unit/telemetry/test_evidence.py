from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from airflow_provider_aiopt.data.tensors import tensor_array
from airflow_provider_aiopt.telemetry.evidence import StageEvidence, column_facts


def batch(**columns: np.ndarray | pa.Array) -> pa.RecordBatch:
    named = {
        name: column if isinstance(column, pa.Array) else tensor_array(column)
        for name, column in columns.items()
    }
    rows = len(next(iter(named.values())))
    identity = {name: pa.array(["a"] * rows) for name in ("id", "uri", "sha256")}
    return pa.RecordBatch.from_pydict({**identity, **named})


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        (np.array([[0.0, 255.0]]), "uint8"),
        (np.array([[-1.0, 255.0]]), "int16"),
        (np.array([[0, 70_000]]), "int32"),
        (np.array([[0, 2**40]]), None),
        (np.array([[0.5, 1.0]]), None),
        (np.array([[np.nan, 1.0]]), None),
        (np.array([[1, 2]], np.uint8), None),  # no narrower type is there
    ],
)
def test_the_narrowest_type_holds_every_value_exactly(values: np.ndarray, holds: str | None) -> None:
    (facts,) = column_facts(batch(x=values))
    assert facts.holds == holds
    assert facts.dtype == values.dtype.name
    assert facts.row_bytes == values[0].nbytes


def test_columns_that_are_no_numbers_are_left_out() -> None:
    assert column_facts(batch(words=pa.array(["a"]), many=pa.array([[1, 2]]))) == ()


def test_evidence_survives_json_and_is_small() -> None:
    evidence = StageEvidence(
        settings={"execution.workers": 4}, columns=column_facts(batch(x=np.ones((1, 4))))
    )
    text = evidence.model_dump_json()
    assert StageEvidence.model_validate_json(text) == evidence
    assert len(text) < 600
