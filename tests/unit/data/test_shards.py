from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_aiopt.data import folder as folder_module
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.data.shards import parquet_writer, read_batches, shard_writer
from airflow_provider_aiopt.data.tensors import IDENTITY_COLUMNS, array_tensor, make_batch, tensor_array
from airflow_provider_aiopt.exceptions import ShardError, StorageError, StorageFullError

NAME = "00000.arrow"


def batch(rows: int, *, start: int = 0, width: int = 3) -> pa.RecordBatch:
    ids = pa.array([str(start + row) for row in range(rows)], pa.string())
    identity = pa.RecordBatch.from_arrays([ids] * 3, names=list(IDENTITY_COLUMNS))
    values = np.arange(start * width, (start + rows) * width, dtype=np.float32).reshape(rows, width)
    return make_batch(identity, {"tensor": tensor_array(values)})


SCHEMA = batch(0).schema


def write(folder: Folder, *batches: pa.RecordBatch) -> int:
    with shard_writer(folder, NAME) as writer:
        for item in batches:
            writer.write(item)
    return writer.bytes


class TestShards:
    def test_batches_come_back_as_they_were(self, folder: Folder) -> None:
        size = write(folder, batch(2), batch(3, start=2))
        found = list(read_batches(folder, NAME))

        assert [item.num_rows for item in found] == [2, 3]
        assert found[1].equals(batch(3, start=2))
        assert len(folder.read(NAME)) == size

    def test_a_writer_counts_its_rows(self, folder: Folder) -> None:
        with shard_writer(folder, NAME) as writer:
            writer.write(batch(2))
            writer.write(batch(0))
            writer.write(batch(3))

        assert writer.rows == 5

    def test_an_empty_shard_is_a_whole_file_without_batches(self, folder: Folder) -> None:
        size = write(folder)

        assert size == len(folder.read(NAME)) > 0
        assert list(read_batches(folder, NAME)) == []

    def test_batches_without_rows_leave_no_trace(self, folder: Folder) -> None:
        write(folder, batch(0), batch(1), batch(0))

        assert [item.num_rows for item in read_batches(folder, NAME)] == [1]

    def test_a_failing_block_leaves_nothing(self, folder: Folder) -> None:
        with pytest.raises(ZeroDivisionError), shard_writer(folder, NAME) as writer:
            writer.write(batch(2))
            raise ZeroDivisionError

        assert folder.names() == []

    def test_local_shards_are_mapped_not_read(self, tmp_path: Path) -> None:
        folder = Folder.open(str(tmp_path))
        write(folder, batch(1000, width=1000))
        before = pa.total_allocated_bytes()
        (found,) = read_batches(folder, NAME)

        assert array_tensor(found.column("tensor")).sum() > 0
        assert pa.total_allocated_bytes() - before < 100_000

    def test_a_batch_outlives_its_file(self, tmp_path: Path) -> None:
        folder = Folder.open(str(tmp_path))
        write(folder, batch(10))
        (found,) = read_batches(folder, NAME)
        folder.remove(NAME)
        write(folder, batch(10, start=500))

        assert found.equals(batch(10))


class TestDamage:
    @pytest.mark.parametrize("kept", [0, 1, 8, 0.5, -1, -10])
    def test_a_truncated_shard(self, folder: Folder, kept: float) -> None:
        size = write(folder, batch(20))
        length = int(kept * size) if 0 < kept < 1 else int(kept) % size
        folder.write(NAME, folder.read(NAME)[:length])

        with pytest.raises(
            ShardError, match=rf"{NAME} is no whole shard file: .*\. Remove it and clear the task"
        ):
            list(read_batches(folder, NAME))

    def test_a_shard_that_is_damaged_inside(self, folder: Folder) -> None:
        content = bytearray(folder.read(NAME)) if write(folder, batch(20)) else bytearray()
        at = content.rindex(
            b"\xff\xff\xff\xff", 0, content.rindex(b"\xff\xff\xff\xff")
        )  # the batch's own header
        content[at + 4 : at + 60] = b"\xee" * 56
        folder.write(NAME, bytes(content))

        with pytest.raises(ShardError, match="is no whole shard file"):
            list(read_batches(folder, NAME))

    def test_a_shard_that_is_gone(self, folder: Folder) -> None:
        with pytest.raises(StorageError, match=rf"Cannot read .*/{NAME}: "):
            list(read_batches(folder, NAME))


class TestParquet:
    @pytest.mark.parametrize(
        ("sizes", "width", "groups"),
        [([3] * 5, 3, [15]), ([4095, 1, 1], 3, [4096, 1]), ([100] * 3, 100_000, [100, 100, 100])],
        ids=["small", "by rows", "by bytes"],
    )
    def test_small_batches_share_a_row_group(
        self, folder: Folder, sizes: list[int], width: int, groups: list[int]
    ) -> None:
        batches, start = [], 0
        for size in sizes:
            batches.append(batch(size, start=start, width=width))
            start += size
        with parquet_writer(folder, "x.parquet", batches[0].schema, compression="none") as writer:
            for item in batches:
                writer.write(item)

        file = pq.ParquetFile(pa.BufferReader(folder.read("x.parquet")))
        assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == groups
        assert file.read().column("id").to_pylist() == pa.Table.from_batches(batches)["id"].to_pylist()

    @pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "lz4", "none"])
    def test_results_can_be_read_by_anyone(self, folder: Folder, tmp_path: Path, compression: str) -> None:
        with parquet_writer(folder, "00000.parquet", SCHEMA, compression=compression) as writer:
            writer.write(batch(2))
            writer.write(batch(1, start=2))
        (tmp_path / "copy.parquet").write_bytes(folder.read("00000.parquet"))
        table = pq.read_table(tmp_path / "copy.parquet")

        assert writer.rows == 3
        assert table.column("id").to_pylist() == ["0", "1", "2"]

    def test_no_results_are_a_file_with_all_columns(self, folder: Folder) -> None:
        with parquet_writer(folder, "00000.parquet", SCHEMA, compression="zstd"):
            pass
        table = pq.read_table(pa.BufferReader(folder.read("00000.parquet")))

        assert table.num_rows == 0
        assert table.column_names == [*IDENTITY_COLUMNS, "tensor"]

    def test_a_failing_block_leaves_nothing(self, folder: Folder) -> None:
        with (
            pytest.raises(ZeroDivisionError),
            parquet_writer(folder, "x.parquet", SCHEMA, compression="zstd") as writer,
        ):
            writer.write(batch(2))
            raise ZeroDivisionError

        assert folder.names() == []


@pytest.mark.parametrize("when", ["while writing", "at the end"])
@pytest.mark.parametrize(
    "make",
    [shard_writer, partial(parquet_writer, schema=SCHEMA, compression="zstd")],
    ids=["arrow", "parquet"],
)
def test_a_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, make: Any
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class Full:
        """A file on a disk without room."""

        def __init__(self, stream: Any) -> None:
            self._stream = stream
            self.write = full if when == "while writing" else stream.write

        def __getattr__(self, name: str) -> Any:
            return getattr(self._stream, name)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self._stream.close()

    opened = folder_module._open_locked
    monkeypatch.setattr(folder_module, "_open_locked", lambda path: Full(opened(path)))
    if when == "at the end":
        monkeypatch.setattr(os, "fsync", full)
    folder = Folder.open(str(tmp_path))

    said = rf"^Cannot write {tmp_path}/{NAME}: No space left on device\. Free some room"
    with pytest.raises(StorageFullError, match=said), make(folder, NAME) as writer:
        writer.write(batch(2))

    assert list(tmp_path.iterdir()) == []
