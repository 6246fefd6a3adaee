"""What every cache offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

KEY_BYTES = 32
"""Length of a key: the sha256 of a record's payload."""


@dataclass(frozen=True, slots=True)
class Hits:
    """What a cache knows of the records that it was asked for.

    :param positions: which of the keys were found, ascending
    :param rows: a row of data columns for each of them, in the same order; None where none was found
    """

    positions: tuple[int, ...] = ()
    rows: pa.RecordBatch | None = None


class RowCache(Protocol):
    """Keeps rows of data columns by key.  Several threads may use it at once.

    A cache keeps rows of one kind: what else than the payload they depend on is settled when it is opened.
    """

    def get(self, keys: Sequence[bytes]) -> Hits:
        """Return the rows that are known.

        :param keys: sha256 digests, :data:`KEY_BYTES` each
        """
        ...

    def put(self, keys: Sequence[bytes], rows: pa.RecordBatch) -> None:
        """Keep *rows*, one for each of *keys*; it may take until :meth:`close` before they are found."""
        ...

    def close(self) -> None:
        """Write what is still held back and release everything."""
        ...
