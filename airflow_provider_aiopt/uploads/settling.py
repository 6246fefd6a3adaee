"""When a file is whole: decided by what was observed and this process's monotonic clock alone.

A file's own times are never compared with a clock: clocks jump, and ``cp -p`` keeps old times.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from airflow_provider_aiopt.data.uploads import Upload

_FIRST_LOOK_S = 0.05
_LONGEST_LOOK_S = 0.5
_LOOK_GROWTH = 1.5
_REMEMBERED_S = 60.0
_REMEMBERED = 10_000


class Sighting(NamedTuple):
    """One version of one object as it was seen.

    :param uri: where it is
    :param size: its size in bytes
    :param version: its version
    :param key: the upload's key
    """

    uri: str
    size: int
    version: str
    key: str


@dataclass(slots=True)
class _Waiting:
    upload: Upload
    since: float  # when this version was first seen
    seen: float  # when it was last seen
    pause: float
    look_at: float


class Settling:
    """The versions that were seen and are not ready yet.

    :param settle_s: seconds for which a version must not change; None: *default_s*, unless it is known that
        nobody writes the file
    :param default_s: seconds where nothing is said or known
    :param min_age_s: seconds for which a version must have been seen
    """

    def __init__(self, *, settle_s: float | None, default_s: float, min_age_s: float) -> None:
        self._settle_s = settle_s
        self._default_s = default_s
        self._min_age_s = min_age_s
        self._waiting: dict[str, _Waiting] = {}
        self._ready: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """Return how many objects are not ready yet."""
        return len(self._waiting)

    def __contains__(self, uri: str) -> bool:
        """Whether the object at *uri* is not ready yet."""
        return uri in self._waiting

    def see(self, sighting: Sighting, *, closed: bool | None, now: float, wall: float) -> Upload | None:
        """Note that a version was seen, and return it if it is ready.

        :param closed: whether nobody has the file open for writing; None where that cannot be told
        :param now: the monotonic clock, in seconds
        :param wall: seconds since the epoch, for the record only
        """
        waiting = self._waiting.get(sighting.uri)
        if waiting is None or waiting.upload.version != sighting.version:
            upload = Upload(sighting.uri, sighting.size, sighting.version, wall)
            waiting = _Waiting(upload, now, now, _FIRST_LOOK_S, now + _FIRST_LOOK_S)
            self._waiting[sighting.uri] = waiting
        waiting.seen = now
        ready_at = waiting.since + self._patience(waiting.upload, closed, now)
        if closed is not False and now >= ready_at:
            del self._waiting[sighting.uri]
            self._remember(sighting.uri, now)
            return waiting.upload
        if closed is not False:
            waiting.look_at = ready_at
        elif now >= waiting.look_at:
            waiting.pause = min(waiting.pause * _LOOK_GROWTH, _LONGEST_LOOK_S)
            waiting.look_at = now + waiting.pause
        return None

    def waiting(self, uri: str) -> Sighting:
        """Return the version at *uri* that is not ready yet, as it was seen last."""
        upload = self._waiting[uri].upload
        return Sighting(upload.uri, upload.size, upload.version, upload.key)

    def forget(self, uri: str) -> None:
        """Note that an object is gone."""
        self._waiting.pop(uri, None)

    def forget_unseen(self, since: float) -> None:
        """Forget what was not seen since a complete listing was begun."""
        for uri in [uri for uri, waiting in self._waiting.items() if waiting.seen < since]:
            del self._waiting[uri]

    def due(self, now: float) -> list[str]:
        """Return the URIs of the files to look at again."""
        return [uri for uri, waiting in self._waiting.items() if waiting.look_at <= now]

    def next_look(self) -> float | None:
        """Return when the next file is to be looked at, by the monotonic clock."""
        return min((waiting.look_at for waiting in self._waiting.values()), default=None)

    def _patience(self, upload: Upload, closed: bool | None, now: float) -> float:
        settle_s = self._default_s if self._settle_s is None else self._settle_s
        # An empty file was perhaps just created, and one that was ready a moment ago is written in pieces.
        again = now - self._ready.get(upload.uri, -_REMEMBERED_S) < _REMEMBERED_S
        if self._settle_s is None and closed and upload.size and not again:
            settle_s = 0.0
        return max(settle_s, self._min_age_s)

    def _remember(self, uri: str, now: float) -> None:
        self._ready[uri] = now
        self._ready.move_to_end(uri)
        while len(self._ready) > _REMEMBERED or next(iter(self._ready.values())) < now - _REMEMBERED_S:
            self._ready.popitem(last=False)
