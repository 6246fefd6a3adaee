from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from airflow_provider_aiopt.data.records import Record
from airflow_provider_aiopt.data.tensors import make_batch
from airflow_provider_aiopt.exceptions import DecodeError
from airflow_provider_aiopt.runtimes.base import TensorInfo
from airflow_provider_aiopt.spec import TabularPreprocessSpec
from airflow_provider_aiopt.stages.ingest import _batch
from airflow_provider_aiopt.stages.transforms.tabular import TabularTransform


def prepare(*payloads: bytes, width: int = 2, **settings: Any) -> tuple[np.ndarray, dict[int, str], str]:
    transform = TabularTransform(TabularPreprocessSpec(**settings), width)
    with ThreadPoolExecutor(1) as executor:
        columns, errors = transform.prepare(payloads, executor)
    assert all(isinstance(error, DecodeError) for error in errors.values())
    records = [Record("", "", b"", "") for _ in range(len(payloads) - len(errors))]
    (name, values), *others = transform.feeds(
        make_batch(_batch(records), columns), [TensorInfo("x", "float32", ())]
    ).items()
    assert not others
    return values, {index: str(error) for index, error in errors.items()}, name


def test_a_row_becomes_a_vector_of_its_columns() -> None:
    values, errors, name = prepare(b"[1, 2.5]", b'["3", -4e2]')
    assert (values.tolist(), values.dtype, errors, name) == ([[1, 2.5], [3, -400]], np.float32, {}, "x")


def test_a_single_column_needs_no_array() -> None:
    assert prepare(b"7", b'"8"', b"[9]", width=1)[0].tolist() == [[7], [8], [9]]


def test_values_are_normalised_by_column() -> None:
    values, *_ = prepare(b"[10, 20]", mean=(4, 8), std=(2, 3))
    assert values.tolist() == [[3, 4]]


@pytest.mark.parametrize("settings", [{"mean": (1, 1)}, {"std": (2, 2)}], ids=str)
def test_mean_and_std_may_stand_alone(settings: dict[str, Any]) -> None:
    expected = [[2, 3]] if "mean" in settings else [[1.5, 2]]
    assert prepare(b"[3, 4]", **settings)[0].tolist() == expected


@pytest.mark.parametrize(
    "payload",
    [
        b'["cat", 1]',
        b"[[1], 2]",
        b'{"a": 1}',
        b"not json",
        b"\xff\xfe",
        json.dumps([10**400, 1]).encode(),
        b"[1e300, 1]",
        b'["1e39", 1]',
    ],
    ids=["word", "list", "object", "no JSON", "no UTF-8", "endless integer", "double", "double as text"],
)
def test_a_row_that_is_no_numbers_is_bad_and_the_others_are_not(payload: bytes) -> None:
    values, errors, _ = prepare(b"[1, 2]", payload, b"[3, 4]")
    assert values.tolist() == [[1, 2], [3, 4]]
    assert list(errors) == [1]
    assert errors[1].startswith("The row is not made of numbers: ")


def test_nan_and_infinity_are_the_models_to_judge() -> None:
    values, errors, _ = prepare(b"[NaN, Infinity]")
    assert not errors
    assert np.isnan(values[0, 0])
    assert np.isinf(values[0, 1])


def test_no_good_row_leaves_an_empty_column() -> None:
    values, errors, _ = prepare(b"?")
    assert values.shape == (0, 2)
    assert list(errors) == [0]
