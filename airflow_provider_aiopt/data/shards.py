"""Files of batches: Arrow IPC shards between the stages, Parquet for results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from airflow_provider_aiopt.data.folder import Folder, storage_errors
from airflow_provider_aiopt.data.tensors import identity_schema
from airflow_provider_aiopt.exceptions import ShardError

if TYPE_CHECKING:
    import pyarrow as pa


_GROUP_ROWS = 4096
_GROUP_BYTES = 4 * 1024 * 1024


class BatchWriter:
    """Writes batches to one file, which appears, whole, when the block ends without an error.

    :param folder: where the file goes
    :param name: its name
    :param open_format: makes the format's own writer for a stream and a schema
    """

    def __init__(self, folder: Folder, name: str, open_format: Callable[[IO[bytes], pa.Schema], Any]) -> None:
        self.name = name
        self.rows = 0
        self.bytes = 0
        self._created = folder.create(name)
        self._open_format = open_format
        self._stream: Any = None
        self._writer: Any = None

    def __enter__(self) -> Self:
        """Open the file under a temporary name."""
        self._stream = self._created.__enter__()
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """Append *batch*; one without rows leaves no trace."""
        if not batch.num_rows:
            return
        if self._writer is None:
            self._writer = self._open_format(self._stream, batch.schema)
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file and give it its name, or remove it where the block failed."""
        if error is None:
            try:
                self._finish()
            except BaseException as failure:
                self._abandon()
                self._created.__exit__(type(failure), failure, failure.__traceback__)
                raise
        else:
            self._abandon()
        self._created.__exit__(kind, error, trace)

    def _finish(self) -> None:
        if self._writer is None:
            self._writer = self._open_format(self._stream, identity_schema())
        self._writer.close()
        self._stream.flush()
        self.bytes = self._stream.tell()

    def _abandon(self) -> None:
        if isinstance(self._writer, _RowGroups):
            self._writer.abandon()


def shard_writer(folder: Folder, name: str) -> BatchWriter:
    """Return a writer of an uncompressed Arrow IPC file, which can be memory-mapped."""
    return BatchWriter(folder, name, _open_ipc)


def parquet_writer(folder: Folder, name: str, schema: pa.Schema, *, compression: str) -> BatchWriter:
    """Return a writer of a Parquet file.

    :param schema: its columns, which it has even where no batch follows
    :param compression: the codec
    """

    def open_parquet(stream: IO[bytes], _: pa.Schema) -> Any:
        import pyarrow.parquet as pq

        return _RowGroups(pq.ParquetWriter(stream, schema, compression=compression))

    return BatchWriter(folder, name, open_parquet)


class _RowGroups:
    """Gathers batches into row groups, each of which costs a reader and a writer as much as hundreds of rows.

    :param writer: a ``pyarrow.parquet.ParquetWriter``
    """

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._batches: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def write_batch(self, batch: pa.RecordBatch) -> None:
        self._batches.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._write()

    def close(self) -> None:
        self._write()
        self._writer.close()

    def abandon(self) -> None:
        """Keep the writer from closing itself when it is collected: by then there is no file."""
        self._writer.is_open = False

    def _write(self) -> None:
        import pyarrow as pa

        if self._batches:
            self._writer.write_table(pa.Table.from_batches(self._batches))
            self._batches = []
            self._rows = self._bytes = 0


def _open_ipc(stream: IO[bytes], schema: pa.Schema) -> Any:
    import pyarrow as pa

    return pa.ipc.new_file(pa.PythonFile(stream, mode="w"), schema)


def read_batches(folder: Folder, name: str) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a shard file in order; local files are mapped, not read.

    :raises ShardError: if the file is no whole shard
    :raises StorageError: if it cannot be read
    """
    import pyarrow as pa

    uri = folder.uri_of(name)
    local = folder.local_path(name)
    with ExitStack() as stack:
        with storage_errors("read", uri):
            source = (
                stack.enter_context(pa.memory_map(str(local))) if local else pa.py_buffer(folder.read(name))
            )
        with _format_errors(uri):
            reader = stack.enter_context(pa.ipc.open_file(source))
        for index in range(reader.num_record_batches):
            with _format_errors(uri):
                batch = reader.get_batch(index)
            yield batch


def touch_pages(batch: pa.RecordBatch) -> None:
    """Have the system read what of a mapped *batch* is not in memory; other threads run meanwhile."""
    import mmap

    import numpy as np

    for column in batch.columns:
        for buffer in column.buffers():
            if buffer is not None and buffer.size:
                np.frombuffer(buffer, np.uint8)[:: mmap.PAGESIZE].max()


def read_parquet(content: bytes) -> pa.Table:
    """Return a Parquet file's content.

    In this thread alone: one of Arrow's own that lets go of *content* while the interpreter ends aborts the
    process.

    :raises pyarrow.ArrowException: if *content* is no Parquet
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.ParquetFile(pa.BufferReader(content), pre_buffer=False).read(use_threads=False)


@contextmanager
def _format_errors(uri: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ShardError(
            f"{uri} is no whole shard file: {error}. Remove it and clear the task of the stage that wrote it"
        ) from error
