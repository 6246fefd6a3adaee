"""Listing a source's files, with nothing read yet."""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.data.folder import FileSystemResolver, Folder, resolve_filesystem, storage_errors
from airflow_provider_aiopt.data.records import printable
from airflow_provider_aiopt.data.retry import RemoteCalls
from airflow_provider_aiopt.data.uploads import Upload, from_jsonl
from airflow_provider_aiopt.data.versions import version_of
from airflow_provider_aiopt.exceptions import SourceError, StorageError
from airflow_provider_aiopt.spec.source import SourceSpec


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that a source lists.

    :param name: its path below the source's root; bytes that are no UTF-8 are kept as surrogate escapes
    :param size: its size in bytes, 0 where only opening it would tell
    :param version: what changes when its content does: an etag, or else the modification time
    :param is_pinned: whether no other version may be read in its place
    """

    name: str
    size: int
    version: str
    is_pinned: bool = False

    @property
    def printable_name(self) -> str:
        """The name in printable form: bytes that are no UTF-8 are shown as hexadecimal escapes."""
        return printable(self.name)


@dataclass(frozen=True, slots=True)
class Root:
    """Where a source's files live.

    :param filesystem: the fsspec file system
    :param path: the folder's path within it
    :param uri: the folder's URI, to which a name is appended
    :param is_local: whether it is on this machine's own file system
    :param calls: how a remote file system is called
    :param real_path: where a local folder lay, all links followed, when the root was made: what is read has
        to lie below it, even should something else take the folder's place
    """

    filesystem: Any
    path: str
    uri: str
    is_local: bool
    calls: RemoteCalls = field(compare=False, repr=False)
    real_path: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Follow the links of the folder's path."""
        object.__setattr__(self, "real_path", os.path.realpath(self.path) if self.is_local else self.path)

    def holds(self, real_path: str) -> bool:
        """Whether a local path, absolute and without links or dots, is the root or lies below it."""
        return real_path == self.real_path or real_path.startswith(f"{self.real_path.rstrip('/')}/")

    def uri_of(self, entry: Entry) -> str:
        """Return the URI of *entry* as fsspec would open it."""
        return f"{self.uri}/{entry.printable_name}"

    def path_of(self, entry: Entry) -> str:
        """Return the path of *entry* within the file system."""
        return f"{self.path}/{entry.name}" if self.path else entry.name


def list_source(
    spec: SourceSpec,
    *,
    resolver: FileSystemResolver = resolve_filesystem,
    calls: RemoteCalls | None = None,
) -> tuple[Root, list[Entry]]:
    """List the files of *spec* in the order of their names.

    Symbolic links are listed and judged when they are read: one that leads out of the root is quarantined
    then.

    :param calls: how a remote file system is called; default: as *spec* says
    :raises SourceError: if the source does not exist, cannot be listed or, unless ``allow_empty``, is empty
    """
    filesystem, path, is_local = _resolve(spec, resolver)
    calls = calls or RemoteCalls(spec)
    path = path.rstrip("/")
    if spec.manifest is not None:
        root = _root(filesystem, path, is_local, calls)
        return root, _manifest_entries(spec, spec.manifest, root, resolver)
    try:
        with storage_errors("list", spec.uri, faults=OSError if is_local else Exception):
            if is_local:
                root_path, entries = _list_local(path, spec)
            else:
                root_path, entries = calls.list(lambda: _list_remote(filesystem, path, spec))
    except StorageError as error:
        effort = calls.effort(error.__cause__ or error)
        raise SourceError(f"{error}{effort}. Check source.uri and its credentials") from error
    entries.sort(key=lambda entry: entry.name)
    if not entries and not spec.allow_empty:
        raise SourceError(
            f"The source {spec.uri} holds no file that matches {', '.join(map(repr, spec.pattern))}"
            f"{'' if spec.recursive else ' (sub-folders not searched: source.recursive is false)'}. "
            "Correct source.pattern, or set source.allow_empty to accept an empty run"
        )
    return _root(filesystem, root_path, is_local, calls), entries


def open_root(spec: SourceSpec, path: str, *, resolver: FileSystemResolver = resolve_filesystem) -> Root:
    """Return the root of a source that was listed before.

    :param path: the root's path within its file system
    :raises SourceError: if the file system is not to be had
    """
    filesystem, _, is_local = _resolve(spec, resolver)
    return _root(filesystem, path, is_local, RemoteCalls(spec))


def _manifest_entries(
    spec: SourceSpec, manifest: str, root: Root, resolver: FileSystemResolver
) -> list[Entry]:
    """Return what the manifest lists, in the order of the names.

    :raises SourceError: if it cannot be read, is empty or lists what is not below the root
    :raises UploadRecordError: if a line of it is no upload
    """
    address, _, name = manifest.rpartition("/")
    scheme, own_scheme = (uri.partition("://")[0] if "://" in uri else "file" for uri in (manifest, spec.uri))
    options = spec.storage_options if scheme == own_scheme else {}
    try:
        folder = Folder.open(address or "/", storage_options=options, resolver=resolver)
        content = root.calls.again(lambda: folder.read(name))
    except StorageError as error:
        raise SourceError(
            f"The manifest of uploads cannot be read: {error}. Check source.manifest"
        ) from error
    entries = {_pinned(upload, root, manifest) for upload in from_jsonl(content, manifest)}
    if not entries and not spec.allow_empty:
        raise SourceError(
            f"The manifest {manifest} lists no upload. Set source.allow_empty to accept an empty run"
        )
    return sorted(entries, key=lambda entry: (entry.name, entry.version))


def _pinned(upload: Upload, root: Root, manifest: str) -> Entry:
    name = upload.uri.removeprefix(f"{root.uri}/")
    if name == upload.uri or not name or ".." in name.split("/"):
        raise SourceError(
            f"The manifest {manifest} lists {upload.uri}, which is not below source.uri, {root.uri}. Name "
            "the watched folder as source.uri"
        )
    return Entry(name, upload.size, upload.version, is_pinned=True)


def folder_root(filesystem: Any, path: str, calls: RemoteCalls) -> Root:
    """Return the root for the folder *path* of a file system.

    :param calls: how a remote file system is called
    """
    return _root(filesystem, path.rstrip("/"), _is_local(filesystem), calls)


def _resolve(spec: SourceSpec, resolver: FileSystemResolver) -> tuple[Any, str, bool]:
    try:
        filesystem, path = resolver(
            spec.uri, connection=spec.connection, storage_options=spec.storage_options
        )
    except StorageError as error:
        raise SourceError(str(error)) from error
    return filesystem, path, _is_local(filesystem)


def _is_local(filesystem: Any) -> bool:
    protocol = filesystem.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def _root(filesystem: Any, path: str, is_local: bool, calls: RemoteCalls) -> Root:
    return Root(filesystem, path, filesystem.unstrip_protocol(path).rstrip("/"), is_local, calls)


def _list_local(path: str, spec: SourceSpec) -> tuple[str, list[Entry]]:
    path = path or "/"
    status = Path(path).stat()
    if stat.S_ISREG(status.st_mode):
        # A link that the spec itself names may lead anywhere.
        folder, name = os.path.split(os.path.realpath(path))
        return folder, [Entry(name, status.st_size, str(status.st_mtime_ns))]
    entries = []
    for name, item in _walk_local(path, "", recursive=spec.recursive):
        if matches(name, spec.pattern):
            entries.append(_local_entry(name, item))
    return path, entries


def _walk_local(folder: str, prefix: str, *, recursive: bool) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield the visible files below *folder* without following links to folders."""
    subfolders = []
    with storage_errors("list", folder), os.scandir(folder) as items:
        for item in items:
            if item.name.startswith("."):
                continue
            if item.is_dir(follow_symlinks=False):
                subfolders.append(item)
            else:
                yield f"{prefix}{item.name}", item
    if recursive:
        for item in subfolders:
            yield from _walk_local(item.path, f"{prefix}{item.name}/", recursive=True)


def _local_entry(name: str, item: os.DirEntry[str]) -> Entry:
    try:
        status = item.stat()
    except OSError:  # a dangling link, or gone since: reading it will say so and quarantine it
        return Entry(name, 0, "")
    return Entry(name, status.st_size, str(status.st_mtime_ns))


def _list_remote(filesystem: Any, path: str, spec: SourceSpec) -> tuple[str, list[Entry]]:
    filesystem.invalidate_cache()
    depth = None if spec.recursive else 1
    found: dict[str, dict[str, Any]] = filesystem.find(path, maxdepth=depth, detail=True)
    if not found and not filesystem.exists(path):
        raise FileNotFoundError(2, "No such file, folder or bucket", path)
    if set(found) == {path}:
        folder, _, name = path.rpartition("/")
        return folder, [_remote_entry(name, found[path])]
    entries = []
    for full, info in found.items():
        name = full[len(path) :].lstrip("/")
        hidden = any(part.startswith(".") for part in name.split("/"))
        if info["type"] == "file" and not hidden and matches(name, spec.pattern):
            entries.append(_remote_entry(name, info))
    return path, entries


def _remote_entry(name: str, info: dict[str, Any]) -> Entry:
    return Entry(name, int(info.get("size") or 0), version_of(info))


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a file matches one of *patterns*: by its path where the pattern has a ``/``, else by its name.

    :param name: its path below the root
    """
    base = name.rsplit("/", 1)[-1]
    return any(fnmatch.fnmatchcase(name if "/" in pattern else base, pattern) for pattern in patterns)
