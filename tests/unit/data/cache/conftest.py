"""Rows whose content is their number, and a clock that ticks when it is read."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from airflow_provider_aiopt.data.cache.base import Hits
from airflow_provider_aiopt.data.cache.local import LocalCache
from airflow_provider_aiopt.data.cache.packs import PackFolder
from airflow_provider_aiopt.data.tensors import array_tensor, tensor_array

WIDTH = 100


class Rows:
    """Numbers as cached rows."""

    @staticmethod
    def keys(numbers: Sequence[int]) -> list[bytes]:
        return [hashlib.sha256(str(number).encode()).digest() for number in numbers]

    @staticmethod
    def batch(numbers: Sequence[int]) -> pa.RecordBatch:
        values = np.repeat(np.array(numbers, np.int64)[:, None], WIDTH, axis=1)
        return pa.record_batch({"tensor": tensor_array(values)})

    @staticmethod
    def found(hits: Hits, asked: Sequence[int]) -> set[int]:
        """The numbers that were found, checked to be those that were asked for."""
        if hits.rows is None:
            return set()
        values = array_tensor(hits.rows.column("tensor"))
        assert (values == values[:, :1]).all()
        assert values[:, 0].tolist() == [asked[position] for position in hits.positions]
        return set(values[:, 0].tolist())

    def put(self, cache: LocalCache, *numbers: int) -> None:
        cache.put(self.keys(numbers), self.batch(numbers))

    def get(self, cache: LocalCache, *numbers: int) -> set[int]:
        return self.found(cache.get(self.keys(numbers)), numbers)


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def open_cache(tmp_path: Path) -> Callable[..., LocalCache]:
    """A new task's view of the cache, large enough for three packs of one row."""
    ticks = itertools.count(1)

    def make(kind: str = "kind", max_bytes: int = 5000) -> LocalCache:
        return LocalCache(PackFolder(tmp_path / "cache", kind, max_bytes, now_ns=lambda: next(ticks) * 10**9))

    return make
