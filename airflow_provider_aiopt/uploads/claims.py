"""Who has an upload: claims, made by exclusive create, are what "exactly once" rests on."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, unquote

from airflow_provider_aiopt.data.exclusive import check_exclusive, create_exclusively, sync_folder
from airflow_provider_aiopt.data.folder import FileSystemResolver, Folder, resolve_filesystem
from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.exceptions import UploadRecordError
from airflow_provider_aiopt.uploads.keyfiles import KeyFiles

T = TypeVar("T")
R = TypeVar("R")

_SHELF_DIGITS = 2  # of a key: 256 folders, so that none grows too large to list
_THREADS = 16
_NAME_LENGTH = 180  # file systems allow 255 bytes; a digest is added to longer ones
_SHORTENED = re.compile(rf"[A-Za-z0-9_%-]{{{_NAME_LENGTH}}}~[0-9a-f]{{16}}")
_LOOKED_UP = 4  # more keys than this in one folder are found by listing it


@dataclass(frozen=True, slots=True)
class Claim:
    """That a run has an upload.

    :param consumer: who claims: the DAG's id
    :param run_id: the run
    :param uri: where the object is
    :param version: which version of it
    :param size: its size in bytes
    :param claimed_at: when, in seconds since the epoch
    :param key: the upload's key
    """

    consumer: str
    run_id: str
    uri: str
    version: str
    size: int
    claimed_at: float
    key: str


class Claimed(NamedTuple):
    """The outcome of claiming.

    :param ours: the uploads that the run has, be it since now or since an earlier attempt
    :param others: those that another run has or had
    """

    ours: list[Upload]
    others: list[Upload]


class ClaimStore:
    """The claims of one watch.

    :param folder: the watch's folder within the state
    :param clock: seconds since the epoch
    """

    def __init__(self, folder: Folder, *, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._claims = folder.child("claims")
        self._clock = clock
        self._checked = False

    @classmethod
    def open(
        cls,
        state: str,
        watch_id: str,
        *,
        storage_options: Mapping[str, Any] | None = None,
        resolver: FileSystemResolver = resolve_filesystem,
        clock: Callable[[], float] = time.time,
    ) -> ClaimStore:
        """Open the claims of a watch; they need not exist yet.

        :param state: folder or URL of the state, as in ``UploadWatchSpec.state``
        :param watch_id: the watch, ``UploadWatchSpec.watch_id``
        :param storage_options: keyword arguments of the state's file system
        :param resolver: how to find the file system
        :param clock: seconds since the epoch
        """
        root = Folder.open(state, storage_options=storage_options, resolver=resolver)
        return cls(root.child(watch_id), clock=clock)

    def claim(self, uploads: Sequence[Upload], consumer: str, run_id: str) -> Claimed:
        """Take each of *uploads* for a run, unless another run of the same consumer has it.

        Claiming again for the same run succeeds again, so that a retried or cleared task finds what it had.

        :param consumer: who claims: the DAG's id
        :param run_id: the run that is to have them
        :raises ExclusiveCreateError: if the state's storage cannot decide who is first
        :raises StorageError: if it fails; what was claimed until then stays the run's
        """
        self._check()
        distinct = {upload.key: upload for upload in uploads}
        made = _in_threads(lambda upload: self._take(upload, consumer, run_id), distinct.values())
        ours = [upload for upload, taken in zip(distinct.values(), made, strict=True) if taken]
        # After the claims, not before: pruning writes the keys first and removes the claims then, so that a
        # claim that could be made only because its predecessor was pruned is found here.
        pruned = self.pruned(consumer).among([upload.key for upload in ours])
        for upload in ours:
            if upload.key in pruned:
                self._shelf(consumer, upload.key).remove(_name(upload.key))
        ours = [upload for upload in ours if upload.key not in pruned]
        kept = {upload.key for upload in ours}
        self._make_durable(consumer, kept)
        return Claimed(ours, [upload for upload in distinct.values() if upload.key not in kept])

    def owner(self, key: str, consumer: str) -> Claim | None:
        """Return the claim of *consumer* on an upload, or None.

        :param key: the upload's key
        """
        return self._read(self._shelf(consumer, key), key, consumer=consumer)

    def claimed(self, keys: Collection[str], *, without: Collection[str] = ()) -> set[str]:
        """Return those of *keys* that any consumer has claimed, the pruned ones included.

        :param without: consumers whose claims do not count
        """
        found: set[str] = set()
        for consumer in self.consumers():
            if consumer not in without:
                rest = [key for key in keys if key not in found]
                found |= self.claimed_by(consumer, rest)
        return found

    def claimed_by(self, consumer: str, keys: Collection[str]) -> set[str]:
        """Return those of *keys* that *consumer* has claimed, the pruned ones included."""
        groups: dict[str, list[str]] = defaultdict(list)
        for key in keys:
            groups[key[:_SHELF_DIGITS]].append(key)
        found = _in_threads(lambda group: self._present(consumer, group), groups.values())
        return set().union(*found, self.pruned(consumer).among(keys))

    def consumers(self) -> list[str]:
        """Return who has ever claimed something."""
        return sorted(map(consumer_of, self._claims.folders()))

    def all(self, consumer: str) -> Iterator[Claim]:
        """Yield the claims of *consumer*, the pruned ones not."""
        for shelf in self._of(consumer).folders():
            if len(shelf) != _SHELF_DIGITS:
                continue  # the pruned keys
            folder = self._of(consumer).child(shelf)
            keys = [name.removesuffix(".json") for name in folder.names() if name.endswith(".json")]
            found = _in_threads(partial(self._read, folder, consumer=consumer), keys)
            yield from (claim for claim in found if claim is not None)

    def remove(self, claims: Iterable[Claim]) -> None:
        """Remove claims: unless their keys were pruned, the uploads may be claimed again."""
        _in_threads(self._remove, claims)

    def pruned(self, consumer: str) -> KeyFiles:
        """Return the keys of claims that were pruned."""
        return KeyFiles(self._of(consumer).child("pruned"))

    def _remove(self, claim: Claim) -> None:
        self._shelf(claim.consumer, claim.key).remove(_name(claim.key))

    def _check(self) -> None:
        if not self._checked:
            check_exclusive(self._folder)
            self._checked = True

    def _take(self, upload: Upload, consumer: str, run_id: str) -> bool:
        shelf = self._shelf(consumer, upload.key)
        body = {
            "dag_id": consumer,
            "run_id": run_id,
            "uri": upload.uri,
            "version": upload.version,
            "size": upload.size,
            "claimed_at": self._clock(),
        }
        if create_exclusively(shelf, _name(upload.key), json.dumps(body).encode("ascii")):
            return True
        # Also where an earlier answer was lost: the content alone says whose it is.
        claim = self._read(shelf, upload.key, consumer=consumer)
        return claim is not None and claim.run_id == run_id

    def _read(self, shelf: Folder, key: str, *, consumer: str) -> Claim | None:
        content = shelf.find(_name(key))
        if content is None:
            return None
        try:
            values = json.loads(content)
            return Claim(
                consumer=consumer,
                run_id=values["run_id"],
                uri=values["uri"],
                version=values["version"],
                size=values["size"],
                claimed_at=values["claimed_at"],
                key=key,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UploadRecordError(
                f"{shelf.uri_of(_name(key))} is no claim of this version. Remove the file to have the upload "
                "claimed anew"
            ) from error

    def _present(self, consumer: str, keys: Sequence[str]) -> set[str]:
        """Return those of *keys*, of one shelf, whose claim is there."""
        shelf = self._shelf(consumer, keys[0])
        if shelf.is_local or len(keys) <= _LOOKED_UP:
            return {key for key in keys if shelf.exists(_name(key))}
        return set(keys) & {name.removesuffix(".json") for name in shelf.names()}

    def _make_durable(self, consumer: str, keys: Collection[str]) -> None:
        if self._claims.is_local:
            shelves = {self._shelf(consumer, key).local_path("x") for key in keys}
            _in_threads(sync_folder, {path.parent for path in shelves if path is not None})

    def _of(self, consumer: str) -> Folder:
        return self._claims.child(consumer_folder(consumer))

    def _shelf(self, consumer: str, key: str) -> Folder:
        return self._of(consumer).child(key[:_SHELF_DIGITS])


def claim_values(claim: Claim) -> dict[str, Any]:
    """Return a claim as plain JSON values."""
    return asdict(claim)


def _name(key: str) -> str:
    return f"{key}.json"


def consumer_folder(consumer: str) -> str:
    """Return a folder's name for *consumer*, which may hold any character and be long."""
    if _SHORTENED.fullmatch(consumer):
        return consumer
    name = quote(consumer, safe="").replace(".", "%2E").replace("~", "%7E")
    if len(name) <= _NAME_LENGTH:
        return name
    digest = hashlib.blake2b(consumer.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{name[:_NAME_LENGTH]}~{digest}"


def consumer_of(folder_name: str) -> str:
    """Return the consumer whose folder has that name, or for a long one what stands for it."""
    return folder_name if _SHORTENED.fullmatch(folder_name) else unquote(folder_name)


def _in_threads(call: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Call *call* with each item, several side by side since each waits for storage, and keep the order."""
    given = list(items)
    if len(given) <= 1:
        return [call(item) for item in given]
    with ThreadPoolExecutor(min(_THREADS, len(given)), thread_name_prefix="aiopt-claims") as pool:
        return list(pool.map(call, given))
