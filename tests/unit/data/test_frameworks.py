"""The data sets of the frameworks themselves, where they are installed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from components import requires

from airflow_provider_aiopt.data.python_source import PythonSource
from airflow_provider_aiopt.data.records import Record
from airflow_provider_aiopt.spec import SourceSpec


def payloads(make: Any, pool: ThreadPoolExecutor, *columns: str) -> list[bytes]:
    found = PythonSource(SourceSpec(uri="python:p.data", format="python", columns=columns), make)
    records = list(found.read(0, found.count(), pool, ahead=2))
    assert all(isinstance(record, Record) for record in records), records
    return [record.payload for record in records if isinstance(record, Record)]


def test_torch(executor: ThreadPoolExecutor) -> None:
    requires("torch", "make install-models")
    import torch
    from torch.utils.data import IterableDataset, TensorDataset

    images = torch.arange(2 * 3 * 4 * 5, dtype=torch.uint8).reshape(2, 3, 4, 5)
    pairs = TensorDataset(images, torch.tensor([7, 8]))

    class Stream(IterableDataset):  # type: ignore[type-arg]
        def __iter__(self) -> Any:
            return iter(pairs)

    first = payloads(lambda: pairs, executor, "0")
    assert [content[:4] for content in first] == [b"\x89PNG"] * 2
    assert payloads(Stream, executor, "0") == first
    assert payloads(lambda: pairs, executor, "1") == [b"[7]", b"[8]"]
