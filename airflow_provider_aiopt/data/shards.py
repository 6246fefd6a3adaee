"""Shard files: Arrow IPC, uncompressed, memory-mapped where they are local."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_aiopt.data.folder import Folder, storage_errors
from airflow_provider_aiopt.exceptions import ShardError

if TYPE_CHECKING:
    import pyarrow as pa


class ShardWriter:
    """Writes the batches of one shard; the file appears, whole, when the block ends without an error.

    :param folder: the stage's folder
    :param name: file name
    :param schema: schema of the file where no batch follows; else that of the first batch
    """

    def __init__(self, folder: Folder, name: str, schema: pa.Schema) -> None:
        self._folder = folder
        self._name = name
        self._schema = schema
        self._stack = ExitStack()
        self._writer: Any = None
        self._stream: Any = None
        self.rows = 0
        self.bytes = 0

    def __enter__(self) -> Self:
        """Open the file under a temporary name."""
        self._stream = self._stack.enter_context(self._folder.create(self._name))
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """Append *batch*."""
        if self._writer is None:
            self._open(batch.schema)
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file and give it its name, or remove it where the block failed."""
        if kind is None:
            try:
                self._finish()
            except BaseException as failure:
                self._stack.__exit__(type(failure), failure, failure.__traceback__)
                raise
        self._stack.__exit__(kind, error, trace)

    def _open(self, schema: pa.Schema) -> None:
        import pyarrow as pa

        self._writer = pa.ipc.new_file(pa.PythonFile(self._stream, mode="w"), schema)

    def _finish(self) -> None:
        if self._writer is None:
            self._open(self._schema)
        self._writer.close()
        self._stream.flush()
        self.bytes = self._stream.tell()


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
        try:
            reader = stack.enter_context(pa.ipc.open_file(source))
            count = reader.num_record_batches
        except pa.ArrowInvalid as error:
            raise ShardError(
                f"{uri} is no whole shard file: {error}. Clear the task of the stage that wrote it"
            ) from error
        for index in range(count):
            yield reader.get_batch(index)
