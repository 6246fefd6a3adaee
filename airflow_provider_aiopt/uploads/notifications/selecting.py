"""Which of the uploads that messages tell of belong to a watch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from airflow_provider_aiopt.data.folder import FileSystemResolver, resolve_filesystem
from airflow_provider_aiopt.data.listing import folder_root, matches
from airflow_provider_aiopt.data.retry import RemoteCalls
from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.exceptions import NotificationError
from airflow_provider_aiopt.spec.source import SourceSpec
from airflow_provider_aiopt.spec.uploads import UploadWatchSpec
from airflow_provider_aiopt.uploads.ignoring import is_ignored
from airflow_provider_aiopt.uploads.notifications.fields import excerpt

_SAME_SCHEME = {"s3a": "s3", "gcs": "gs", "az": "abfs", "abfss": "abfs"}


@dataclass(frozen=True)
class Selection:
    """The location and the patterns of a watch.

    Whoever may write into a queue may name any object.  Only those below the watched location are taken.

    :param spec: the watch
    :param root_uri: its location, as its own uploads are named
    """

    spec: UploadWatchSpec
    root_uri: str

    @classmethod
    def of(cls, spec: UploadWatchSpec, resolver: FileSystemResolver = resolve_filesystem) -> Selection:
        """Find out how the uploads of a watch are named.

        :param spec: the watch
        :param resolver: how to find its file system
        :raises StorageError: if no driver is installed for it, or its connection is not to be had
        """
        filesystem, path = resolver(
            spec.uri, connection=spec.connection, storage_options=spec.storage_options
        )
        return cls(spec, folder_root(filesystem, path, RemoteCalls(SourceSpec(uri=spec.uri))).uri)

    def select(self, upload: Upload) -> Upload | None:
        """Return *upload*, named as the watch names it, if it is one of the watch's.

        :returns: None if its name is hidden, temporary or none that the watch looks for
        :raises NotificationError: if it lies elsewhere
        """
        uri, root = _canonical(upload.uri), _canonical(self.root_uri)
        name = uri.removeprefix(f"{root}/")
        if name == uri or not {".", "..", ""}.isdisjoint(name.split("/")):
            raise NotificationError(f"{excerpt(upload.uri)} does not lie below the watched {self.root_uri}")
        hidden = is_ignored(name) or not matches(name, self.spec.pattern)
        if hidden or ("/" in name and not self.spec.recursive):
            return None
        return replace(upload, uri=f"{self.root_uri}/{name}")


def _canonical(uri: str) -> str:
    """Return *uri* with one of the schemes that mean the same; a local path gets its own."""
    if uri.startswith("/"):
        return f"file://{uri}"
    scheme, separator, rest = uri.partition("://")
    return f"{_SAME_SCHEME.get(scheme, scheme)}{separator}{rest}"
