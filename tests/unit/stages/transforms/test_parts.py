from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.data.parallel import SerialExecutor
from airflow_provider_aiopt.exceptions import (
    DecodeError,
    ModelInputError,
    RecordError,
    RecordTooLargeError,
)
from airflow_provider_aiopt.stages.transforms.parts import prepare_in_parts


def lengths(payloads: Sequence[bytes]) -> tuple[dict[str, pa.Array], dict[int, RecordError]]:
    if b"bug" in payloads:
        raise ZeroDivisionError("division by zero")
    if b"batch" in payloads:
        raise RecordTooLargeError("one of them")
    errors: dict[int, RecordError] = {
        number: DecodeError("nothing") for number, payload in enumerate(payloads) if not payload
    }
    return {"length": pa.array([len(payload) for payload in payloads if payload], pa.int64())}, errors


@given(
    payloads=st.lists(st.sampled_from([b"", b"a", b"bb", b"bug", b"batch"]), max_size=9),
    parts=st.integers(1, 12),
)
def test_however_it_is_cut_each_record_has_its_row_or_its_error(payloads: list[bytes], parts: int) -> None:
    columns, errors = prepare_in_parts(lengths, payloads, SerialExecutor(), parts=parts)
    told = {
        b"": "nothing",
        b"bug": "The transform raised ZeroDivisionError: division by zero",
        b"batch": "one of them",
    }
    made = columns["length"].to_pylist() if columns else []
    assert made == [len(payload) for payload in payloads if payload not in told]
    assert {number: str(error) for number, error in errors.items()} == {
        number: told[payload] for number, payload in enumerate(payloads) if payload in told
    }


def test_calls_are_as_many_as_parts() -> None:
    sizes: list[int] = []

    def note(payloads: Sequence[bytes]) -> Any:
        sizes.append(len(payloads))
        return lengths(payloads)

    prepare_in_parts(note, [b"x"] * 10, SerialExecutor(), parts=3)
    assert sizes == [4, 4, 2]


@pytest.mark.parametrize("error", [MemoryError(), ModelInputError("no such input")])
def test_what_is_no_records_fault_is_raised(error: Exception) -> None:
    def fail(_: Any) -> Any:
        raise error

    with pytest.raises(type(error)):
        prepare_in_parts(fail, [b"a", b"b"], SerialExecutor())
