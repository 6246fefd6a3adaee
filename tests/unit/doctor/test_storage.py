from __future__ import annotations

import itertools
from pathlib import Path

import fsspec
import pytest

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.doctor.storage import Latency, measure_source, measure_workspace
from airflow_provider_aiopt.exceptions import StorageError

LOCAL = fsspec.filesystem("file")


@pytest.mark.parametrize(
    ("seconds", "p50", "p95"),
    [([0.2], 0.2, 0.2), ([0.3, 0.1, 0.2], 0.2, 0.3), ([0.01 * n for n in range(1, 101)], 0.505, 0.95)],
)
def test_percentiles(seconds: list[float], p50: float, p95: float) -> None:
    found = Latency.of(seconds)
    assert (found.p50, found.p95, found.calls) == (pytest.approx(p50), pytest.approx(p95), len(seconds))
    assert str(Latency(0.0123, 0.25, 8)) == "p50 12.3 ms, p95 250 ms of 8"


def test_a_source_is_listed_and_read(tmp_path: Path) -> None:
    for number in range(20):
        folder = tmp_path / f"{number % 2}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.bin").write_bytes(b"x" * 1000)
    ticks = itertools.count()
    found = measure_source(LOCAL, str(tmp_path), "uri", readers=1, now=lambda: float(next(ticks)))
    assert found is not None
    assert (found.list_s, found.names) == (1.0, 20)
    # Each file takes a second of this clock: four are read one by one, until that takes too long.
    assert found.read == Latency(1.0, 1.0, 5)
    assert (found.readers, found.bytes_per_s) == (1, found.files_per_s * 1000)


def test_a_source_of_one_file(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"x" * 10)
    found = measure_source(LOCAL, str(tmp_path / "rows.parquet"), "uri")
    assert found is not None
    assert (found.names, found.read.calls, found.readers) == (1, 1, 1)


def test_a_source_without_files(tmp_path: Path) -> None:
    assert measure_source(LOCAL, str(tmp_path), "uri") is None


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="Cannot list uri"):
        measure_source(LOCAL, str(tmp_path / "absent"), "uri")


def test_an_error_of_one_reader_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (tmp_path / f"{number}.bin").write_bytes(b"x")
    calls = itertools.count()

    def cat_file(*_: object, **__: object) -> bytes:
        if next(calls) > 10:
            raise OSError("token expired")
        return b"x"

    monkeypatch.setattr(LOCAL, "cat_file", cat_file)
    with pytest.raises(StorageError, match="Cannot read uri: token expired"):
        measure_source(LOCAL, str(tmp_path), "uri", readers=4)


def test_a_workspace_is_left_as_it_was(tmp_path: Path) -> None:
    ticks = itertools.count()
    found = measure_workspace(Folder.open(str(tmp_path)), now=lambda: float(next(ticks)))
    assert list(tmp_path.iterdir()) == []
    assert found.write == found.read == found.remove == Latency(1.0, 1.0, 10)
    assert found.write_bytes_per_s == found.read_bytes_per_s == 16 * 1024**2


def test_a_workspace_in_an_object_store_leaves_nothing_either() -> None:
    memory = fsspec.filesystem("memory")
    measure_workspace(Folder("memory://doctor", memory, "/doctor"))
    assert memory.find("/doctor") == []


def test_a_workspace_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="Cannot write"):
        measure_workspace(Folder.open(str(tmp_path / "file" / "below")))
