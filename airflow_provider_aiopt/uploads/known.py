"""Which uploads need no offer, at eight bytes each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

_RECENT = 16_384


def digest_of(key: str) -> int:
    """Return the 64 bits of an upload's key that stand for it in memory and in shortcuts on storage."""
    return int(key[:16], 16)


def packed(digests: Sequence[int], *, without: Sequence[int] = ()) -> bytes:
    """Return digests, sorted and each once, as :class:`KnownVersions` reads them.

    :param digests: any sequence, best an array
    :param without: those to leave out
    """
    import numpy as np

    # numpy sorts without holding the interpreter lock: a million would stop an event loop for long.
    kept = np.setdiff1d(np.array(digests, dtype=np.uint64), np.array(without, dtype=np.uint64))
    return bytes(kept.astype(">u8").tobytes())


class KnownVersions:
    """A set of 64-bit digests: many in a sorted array, few new ones in a set.

    Of a million known uploads and a million new ones, two share a digest with a probability of one in ten
    million; the new one would then be taken for known.

    :param parts: sorted digests as big-endian bytes
    """

    def __init__(self, parts: Iterable[bytes] = ()) -> None:
        import numpy as np

        arrays = [np.frombuffer(part, dtype=">u8").astype(np.uint64) for part in parts]
        self._sorted = np.unique(np.concatenate(arrays)) if arrays else np.empty(0, dtype=np.uint64)
        self._recent: set[int] = set()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._sorted) + len(self._recent)

    def __contains__(self, digest: int) -> bool:
        """Whether *digest* is one of them."""
        return not self.unknown([digest])

    def unknown(self, digests: Sequence[int]) -> list[int]:
        """Return the positions of those of *digests* that are not in the set."""
        import numpy as np

        if not digests:
            return []
        wanted = np.array(digests, dtype=np.uint64)
        places = np.searchsorted(self._sorted, wanted)
        places[places == len(self._sorted)] = 0
        missing: Any = (
            self._sorted[places] != wanted if len(self._sorted) else np.ones(len(wanted), dtype=bool)
        )
        return [place for place in np.flatnonzero(missing).tolist() if digests[place] not in self._recent]

    def add(self, digest: int) -> None:
        """Add *digest*."""
        self._recent.add(digest)
        if len(self._recent) >= _RECENT:
            self._fold()

    def discard(self, digest: int) -> None:
        """Remove *digest* if it is there."""
        import numpy as np

        self._recent.discard(digest)
        place = int(np.searchsorted(self._sorted, np.uint64(digest)))
        if place < len(self._sorted) and int(self._sorted[place]) == digest:
            self._sorted = np.delete(self._sorted, place)

    def _fold(self) -> None:
        import numpy as np

        recent = np.fromiter(self._recent, dtype=np.uint64, count=len(self._recent))
        self._sorted = np.union1d(self._sorted, recent)
        self._recent.clear()
