from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_aiopt.data.cache.guard import CacheTally
from airflow_provider_aiopt.data.cache.opening import FOLDER, open_cache
from airflow_provider_aiopt.spec import CacheSpec


def test_a_folder_keeps_to_a_sub_folder(tmp_path: Path, rows: Any) -> None:
    (tmp_path / "photo.jpg").write_bytes(bytes(10**6))
    tally = CacheTally()
    spec = CacheSpec(uri=str(tmp_path), max_bytes=10_000)
    cache = open_cache(spec, "kind", tally)
    rows.put(cache, 1, 2)
    cache.close()

    assert rows.get(open_cache(spec, "kind", tally), 1, 2, 3) == {1, 2}
    assert tally == CacheTally(hits=2, misses=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [FOLDER, "photo.jpg"]
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == ["kind"]


def test_a_place_that_is_no_folder_costs_a_warning(
    tmp_path: Path, rows: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    tally = CacheTally()
    cache = open_cache(CacheSpec(uri=str(tmp_path / "file")), "kind", tally)
    rows.put(cache, 1)

    assert rows.get(cache, 1) == set()
    assert tally == CacheTally(misses=1, errors=1)
    assert "is off for the rest of this task: Not a directory" in caplog.text
