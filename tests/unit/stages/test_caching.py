from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.data.cache.base import Hits
from airflow_provider_aiopt.data.tensors import tensor_array
from airflow_provider_aiopt.exceptions import DecodeError, RecordError
from airflow_provider_aiopt.stages.caching import prepare_with_cache


class Memory:
    """A cache that knows what it was given."""

    def __init__(self) -> None:
        self.rows: dict[bytes, pa.RecordBatch] = {}

    def get(self, keys: Sequence[bytes]) -> Hits:
        known = {position: self.rows[key] for position, key in enumerate(keys) if key in self.rows}
        if not known:
            return Hits()
        (batch,) = pa.Table.from_batches(known.values()).combine_chunks().to_batches()
        return Hits(tuple(known), batch)

    def put(self, keys: Sequence[bytes], rows: pa.RecordBatch) -> None:
        assert len(keys) == rows.num_rows
        self.rows |= {key: rows.slice(number, 1) for number, key in enumerate(keys)}

    def close(self) -> None: ...


class Lengths:
    """Lengths of payloads, of which those of even length are bad."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []

    def __call__(self, payloads: Sequence[bytes]) -> tuple[dict[str, pa.Array], dict[int, RecordError]]:
        self.calls.extend(payloads)
        good = [len(payload) for payload in payloads if len(payload) % 2]
        errors: dict[int, RecordError] = {
            place: DecodeError(str(len(payload)))
            for place, payload in enumerate(payloads)
            if len(payload) % 2 == 0
        }
        return {"length": tensor_array(np.array(good, np.int64).reshape(-1, 1))}, errors


def outcome(cache: Memory, prepare: Lengths, payloads: list[bytes]) -> tuple[Any, dict[int, str]]:
    keys = [hashlib.sha256(payload).digest() for payload in payloads]
    columns, errors = prepare_with_cache(cache, keys, pa.array(payloads, pa.binary()), prepare)
    return columns["length"].to_numpy_ndarray().tolist() if len(columns["length"]) else [], {
        place: str(error) for place, error in errors.items()
    }


lengths = st.lists(st.integers(0, 9), min_size=1, max_size=12)


@given(lengths, lengths)
def test_the_outcome_is_that_without_a_cache(before: list[int], sizes: list[int]) -> None:
    payloads = [b"x" * size for size in sizes]
    cache = Memory()
    outcome(cache, Lengths(), [b"x" * size for size in before])
    prepare = Lengths()

    assert outcome(cache, prepare, payloads) == outcome(Memory(), Lengths(), payloads)
    assert set(map(len, prepare.calls)) == {size for size in sizes if size not in before or size % 2 == 0}
    again = Lengths()
    outcome(cache, again, payloads)
    assert all(len(payload) % 2 == 0 for payload in again.calls)  # bad records are never cached
