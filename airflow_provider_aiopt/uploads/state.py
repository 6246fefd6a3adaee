"""What a watch keeps on storage.

::

    <state>/<watch_id>/
    ├── watch.json                           the location, for people
    ├── exclusive                            says that this storage creates files exclusively
    ├── baseline.bin                         what was there when the location was first watched: 8 bytes each
    ├── delivered/<uuid>.bin                 what is known to be claimed: 8 bytes each; only a shortcut
    ├── alone/<consumer>/                    the same for a consumer that watches for itself
    ├── claims/<consumer>/<kk>/<key>.json    who has an upload: the truth
    ├── claims/<consumer>/pruned/<uuid>.bin  keys of claims that were pruned: 16 bytes each
    ├── released/<key>-<digest>.json         claims that were given back
    ├── offers/<digest>.jsonl                lists of uploads that are too long for an event
    ├── batches/<dag>/<run id>.json          runs that the direct route is about to create
    └── dead_letters/<digest>.jsonl          messages of a queue that could not be read
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_aiopt.data.exclusive import check_exclusive, create_exclusively
from airflow_provider_aiopt.data.folder import FileSystemResolver, Folder, resolve_filesystem
from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.exceptions import SpecError, UploadRecordError
from airflow_provider_aiopt.spec.uploads import UploadWatchSpec
from airflow_provider_aiopt.uploads.claims import Claim, ClaimStore, consumer_folder, consumer_of
from airflow_provider_aiopt.uploads.keyfiles import KeyFiles
from airflow_provider_aiopt.uploads.known import KnownVersions

_WATCH = "watch.json"
_ALONE, _MARK = "alone", "watches-for-itself"
_BASELINE = "baseline.bin"
_WATCH_ID = re.compile(r"[0-9a-f]{16}")
_DIGEST_BYTES = 8
_MERGED = 8  # more files than this are made one at the start


@dataclass(frozen=True, slots=True)
class Release:
    """A claim that was given back, so that its upload is offered again.

    :param upload: the upload
    :param consumer: whose claim it was
    :param released_at: when, in seconds since the epoch
    :param name: the file that says so
    """

    upload: Upload
    consumer: str
    released_at: float
    name: str


class UploadState:
    """The state of one watch, as one of those who share it sees it.

    An event of an asset feeds every DAG on it, so that any claim that came of events proves that the event
    has arrived.  Not so where a DAG watches for itself, by a sensor or ``aiopt watch``: its claims prove
    nothing for others, nor theirs for it.

    :param folder: the watch's folder
    :param consumer: who watches for itself; None: the watch feeds every consumer that does not
    :param clock: seconds since the epoch
    """

    def __init__(
        self, folder: Folder, *, consumer: str | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.folder = folder
        self.claims = ClaimStore(folder, clock=clock)
        self._consumer = consumer
        self._alone = folder.child(_ALONE)
        delivered = folder.child("delivered") if consumer is None else self._own(consumer)
        self._delivered = KeyFiles(delivered, width=_DIGEST_BYTES)
        self._released = folder.child("released")
        self._clock = clock

    @classmethod
    def open(
        cls,
        state: str,
        watch_id: str,
        *,
        storage_options: Mapping[str, Any] | None = None,
        resolver: FileSystemResolver = resolve_filesystem,
        consumer: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> UploadState:
        """Open the state of a watch; it need not exist yet.

        :param state: folder or URL, as in ``UploadWatchSpec.state``
        :param watch_id: the watch, ``UploadWatchSpec.watch_id``
        :param storage_options: keyword arguments of the state's file system
        :param resolver: how to find the file system
        :param consumer: who watches for itself
        :param clock: seconds since the epoch
        """
        root = Folder.open(state, storage_options=storage_options, resolver=resolver)
        return cls(root.child(watch_id), consumer=consumer, clock=clock)

    def describe(self, spec: UploadWatchSpec) -> None:
        """Keep what is watched, for people who look at the claims, and who watches for itself."""
        if self._consumer is not None and not self._own(self._consumer).exists(_MARK):
            self._own(self._consumer).write(_MARK, b"")
        if not self.folder.exists(_WATCH):
            values = spec.model_dump(mode="json", include={"uri", "pattern", "recursive"})
            self.folder.write(_WATCH, json.dumps(values).encode("ascii"))

    def description(self) -> dict[str, Any]:
        """Return the location's ``uri``, ``pattern`` and ``recursive``; empty where none was kept."""
        content = self.folder.find(_WATCH)
        try:
            return dict(json.loads(content)) if content else {}
        except ValueError as error:
            raise UploadRecordError(
                f"{self.folder.uri_of(_WATCH)} describes no watch: {error}. Remove the file"
            ) from error

    def known(self) -> KnownVersions | None:
        """Return what need not be offered, or None where the location was never watched before."""
        baseline = self.folder.find(_BASELINE)
        if baseline is None:
            return None
        if len(baseline) % _DIGEST_BYTES:
            raise UploadRecordError(
                f"{self.folder.uri_of(_BASELINE)} has {len(baseline)} bytes, not a multiple of "
                f"{_DIGEST_BYTES}: it was damaged. Remove it to begin with what is there now"
            )
        parts = self._delivered.parts()
        if len(parts) > _MERGED:
            self._delivered.merge()
        return KnownVersions([baseline, *parts])

    def begin(self, baseline: bytes) -> bool:
        """Keep what was there when the location was first watched.

        :param baseline: its digests, packed as :mod:`~airflow_provider_aiopt.uploads.known` does
        :returns: whether it was kept; of several processes at once the first one's counts
        """
        check_exclusive(self.folder)
        return create_exclusively(self.folder, _BASELINE, baseline)

    def claimed(self, keys: Collection[str]) -> set[str]:
        """Return those of *keys* of which a claim proves that offering them has done its work."""
        if self._consumer is not None:
            return self.claims.claimed_by(self._consumer, keys)
        return self.claims.claimed(keys, without=self._watching_alone())

    def fed_by_events(self, consumer: str) -> None:
        """Note that *consumer* does not, or no longer, watch for itself."""
        self._own(consumer).remove(_MARK)

    def deliver(self, digests: Collection[int]) -> None:
        """Keep that uploads are claimed."""
        self._delivered.add(digest.to_bytes(_DIGEST_BYTES, "big") for digest in digests)

    def release(self, claim: Claim) -> None:
        """Give a claim back: its upload is offered again, and the consumer may claim it."""
        upload = Upload(claim.uri, claim.size, claim.version, self._clock())
        digest = hashlib.blake2b(claim.consumer.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        values = {"consumer": claim.consumer, "released_at": self._clock(), "upload": upload.to_dict()}
        # First: what falls out between the two is claimed still, and releasing it again helps.
        self._released.write(f"{claim.key}-{digest}.json", json.dumps(values).encode("ascii"))
        self.claims.remove([claim])

    def releases(self) -> list[Release]:
        """Return what was given back and not claimed again, of those whom this watch feeds."""
        found = []
        alone = self._watching_alone() if self._consumer is None else set()
        for name in self._released.names():
            content = self._released.find(name)
            release = _release(content, self._released.uri_of(name), name) if content else None
            if release is None:
                continue
            if release.consumer in alone or not self._feeds(release.consumer):
                continue
            claim = self.claims.owner(release.upload.key, release.consumer)
            if claim is None:
                found.append(release)
            elif claim.claimed_at >= release.released_at:
                self._released.remove(name)
        return found

    def _feeds(self, consumer: str) -> bool:
        return self._consumer is None or consumer_folder(self._consumer) == consumer_folder(consumer)

    def _own(self, consumer: str) -> Folder:
        return self._alone.child(consumer_folder(consumer))

    def _watching_alone(self) -> set[str]:
        return {consumer_of(name) for name in self._alone.folders() if self._alone.child(name).exists(_MARK)}


def open_state(
    spec: UploadWatchSpec,
    *,
    default: str | None = None,
    resolver: FileSystemResolver = resolve_filesystem,
    consumer: str | None = None,
    clock: Callable[[], float] = time.time,
) -> UploadState:
    """Open the state that *spec* names.

    :param default: folder or URL of the state where *spec* names none, ``[aiopt] uploads_dir``
    :param consumer: who watches for itself; None: the watch feeds every consumer that does not
    :raises SpecError: if neither does
    """
    state = spec.state or default
    if not state:
        raise SpecError(
            f"The watch of {spec.uri} has nowhere to keep its claims: set state, or [aiopt] uploads_dir"
        )
    return UploadState.open(
        state,
        spec.watch_id,
        storage_options=spec.state_storage_options,
        resolver=resolver,
        consumer=consumer,
        clock=clock,
    )


def all_states(
    state: str,
    *,
    storage_options: Mapping[str, Any] | None = None,
    resolver: FileSystemResolver = resolve_filesystem,
) -> dict[str, UploadState]:
    """Return the states of all watches that share a folder, by their ids.

    :param state: folder or URL, as in ``UploadWatchSpec.state``
    :param storage_options: keyword arguments of its file system
    :param resolver: how to find the file system
    """
    root = Folder.open(state, storage_options=storage_options, resolver=resolver)
    return {name: UploadState(root.child(name)) for name in root.folders() if _WATCH_ID.fullmatch(name)}


def _release(content: bytes, origin: str, name: str) -> Release:
    try:
        values = json.loads(content)
        return Release(Upload.from_dict(values["upload"]), values["consumer"], values["released_at"], name)
    except (KeyError, TypeError, ValueError) as error:
        raise UploadRecordError(
            f"{origin} is no release of this version: {error}. Remove the file"
        ) from error
