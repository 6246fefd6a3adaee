"""A folder of remote storage: listed page by page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, Protocol

from airflow_provider_aiopt.data.listing import Root, matches
from airflow_provider_aiopt.data.time_limit import TimeLimit
from airflow_provider_aiopt.data.uploads import upload_key
from airflow_provider_aiopt.data.versions import remote_version
from airflow_provider_aiopt.spec.uploads import UploadWatchSpec
from airflow_provider_aiopt.uploads.ignoring import is_ignored
from airflow_provider_aiopt.uploads.settling import Sighting

_CHUNK = 2000
Info = Mapping[str, Any]


class Lister(Protocol):
    """Lists a store's objects without ever holding all of them."""

    def __call__(
        self, filesystem: Any, path: str, *, recursive: bool, after: str | None
    ) -> Iterator[list[Info]]:
        """Yield what is below *path*, some objects at a time.

        :param after: only objects whose full path, as text in UTF-8, sorts behind this one; None: all
        :returns: mappings with ``name``, the full path, ``size`` and what the version is made of
        """
        ...


class RemoteLocation:
    """A folder of a store that fsspec knows.

    :param spec: the watch
    :param root: the folder
    """

    is_local = False

    def __init__(self, spec: UploadWatchSpec, root: Root) -> None:
        self._spec = spec
        self._root = root
        protocol = root.filesystem.protocol
        names = (protocol,) if isinstance(protocol, str) else protocol
        self._list = next((_LISTERS[name] for name in names if name in _LISTERS), None)
        self._last: str | None = None

    def cpu_clock(self) -> Callable[[], float]:
        """Return a clock of the CPU time that listing takes, in seconds.

        Asynchronous drivers work on one thread of fsspec's; for others it is the process's time.
        """
        if not getattr(self._root.filesystem, "async_impl", False) or not hasattr(time, "clock_gettime"):
            return time.process_time
        from fsspec import asyn

        asyn.get_loop()
        thread = asyn.iothread[0]
        if thread is None or thread.ident is None:
            return time.process_time
        return partial(time.clock_gettime, time.pthread_getcpuclockid(thread.ident))

    def pages(self) -> Iterator[list[Sighting]]:
        """Yield what is there, some objects at a time.

        :raises Exception: whatever the driver raises
        """
        yield from self._sightings(self._listed(after=None))

    def newest_pages(self) -> Iterator[list[Sighting]] | None:
        """Yield what sorts behind all that was there; None where the store cannot be asked for that.

        Names that begin with a date or a number are found this way at the price of one request.
        """
        if self._list is None or self._last is None:
            return None
        return self._sightings(self._listed(after=self._last))

    def _listed(self, *, after: str | None) -> Iterator[list[Info]]:
        path, recursive = self._root.path, self._spec.recursive
        lister = self._list or _list_at_once
        pages = lister(self._root.filesystem, path, recursive=recursive, after=after)
        limit = TimeLimit()
        while True:
            page = limit.within(self._spec.list_timeout_s, lambda: next(pages, None))
            if page is None:
                return
            yield page

    def _sightings(self, pages: Iterable[list[Info]]) -> Iterator[list[Sighting]]:
        start = len(self._root.path) + 1 if self._root.path else 0
        for page in pages:
            found = []
            for info in page:
                full = str(info["name"])
                self._last = full if self._last is None else max(self._last, full)
                name = full[start:]
                if (
                    not name
                    or name.endswith("/")
                    or is_ignored(name)
                    or not matches(name, self._spec.pattern)
                ):
                    continue
                uri, version = f"{self._root.uri}/{name}", remote_version(info)
                found.append(Sighting(uri, int(info.get("size") or 0), version, upload_key(uri, version)))
            yield found


def _list_at_once(filesystem: Any, path: str, *, recursive: bool, after: str | None) -> Iterator[list[Info]]:
    filesystem.invalidate_cache()
    found = filesystem.find(path, maxdepth=None if recursive else 1, detail=True)
    if not found and not filesystem.exists(path):
        raise FileNotFoundError(2, "No such folder or bucket", path)
    files = (
        info for info in found.values() if info["type"] == "file" and (after is None or info["name"] > after)
    )
    while page := list(islice(files, _CHUNK)):
        yield page
    filesystem.invalidate_cache()


def _list_s3(filesystem: Any, path: str, *, recursive: bool, after: str | None) -> Iterator[list[Info]]:
    bucket, _, key = path.partition("/")
    prefix = f"{key}/" if key else ""
    request = {"Bucket": bucket, "Prefix": prefix}
    if not recursive:
        request["Delimiter"] = "/"
    if after is not None:
        request["StartAfter"] = after.partition("/")[2]
    while True:
        answer = filesystem.call_s3("list_objects_v2", **request)
        yield [
            {"name": f"{bucket}/{item['Key']}", "size": item["Size"], "ETag": item.get("ETag")}
            for item in answer.get("Contents", ())
        ]
        if not answer.get("IsTruncated"):
            return
        request["ContinuationToken"] = answer["NextContinuationToken"]
        request.pop("StartAfter", None)


def _list_gcs(filesystem: Any, path: str, *, recursive: bool, after: str | None) -> Iterator[list[Info]]:
    bucket, _, key = path.partition("/")
    request = {"prefix": f"{key}/" if key else "", "fields": "nextPageToken,items(name,size,generation)"}
    if not recursive:
        request["delimiter"] = "/"
    if after is not None:
        request["startOffset"] = f"{after.partition('/')[2]}\0"
    while True:
        answer = filesystem.call("GET", "b/{}/o", bucket, json_out=True, **request)
        yield [
            {"name": f"{bucket}/{item['name']}", "size": int(item["size"]), "generation": item["generation"]}
            for item in answer.get("items", ())
        ]
        if not answer.get("nextPageToken"):
            return
        request["pageToken"] = answer["nextPageToken"]


_LISTERS: dict[str, Lister] = {"s3": _list_s3, "s3a": _list_s3, "gs": _list_gcs, "gcs": _list_gcs}
