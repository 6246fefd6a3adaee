"""A remote file as a stream that survives what its driver's own streams do not."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.data.listing import Entry, Root
from airflow_provider_aiopt.data.reading import check_remote_version
from airflow_provider_aiopt.data.versions import version_of
from airflow_provider_aiopt.exceptions import SourceError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class RemoteFile(io.RawIOBase):
    """Reads one file of a remote source; after a failed or stalled read it opens the file again.

    :param root: where the source's files live
    :param entry: the file
    :param options: keyword arguments of the file system's ``open``
    """

    def __init__(self, root: Root, entry: Entry, **options: Any) -> None:
        super().__init__()
        self._root = root
        self._entry = entry
        self._options = options
        self._stream: Any = None
        self._version: str | None = None
        self._position = 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Return the position, in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position, as :meth:`io.IOBase.seek` does."""
        if whence == io.SEEK_END:
            offset += self._call(lambda stream: stream.seek(0, io.SEEK_END))
        elif whence == io.SEEK_CUR:
            offset += self._position
        self._position = offset
        return offset

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read at the position.

        :raises UploadChangedError: if the file is pinned to a version that is not there any more
        :raises SourceError: if the file was changed since it was first opened
        :raises Exception: whatever the driver raises at the last attempt
        """
        target = memoryview(buffer).cast("B")

        def read(stream: Any) -> bytes:
            stream.seek(self._position)
            return bytes(stream.read(len(target)))

        content = self._call(read)
        target[: len(content)] = content
        self._position += len(content)
        return len(content)

    def close(self) -> None:
        """Close the driver's stream."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        super().close()

    def _call(self, use: Any) -> Any:
        return self._root.calls.read(lambda: self._attempt(use))

    def _attempt(self, use: Any) -> Any:
        # Taken away first: a stream that failed or still hangs in another thread is not used again.
        stream, self._stream = self._stream, None
        if stream is None:
            stream = self._open()
        result = use(stream)
        self._stream = stream
        return result

    def _open(self) -> Any:
        stream = self._root.filesystem.open(self._root.path_of(self._entry), "rb", **self._options)
        check_remote_version(self._root, self._entry)
        version = version_of(getattr(stream, "details", None) or {})
        if self._version not in (None, version):
            raise SourceError(
                f"{self._root.uri_of(self._entry)} was changed while it was read. Clear the task to list the "
                "source anew"
            )
        self._version = version
        return stream
