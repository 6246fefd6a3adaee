"""The folder of one run, and what lies where in it.

::

    <workspace>/
    ├── ingest/      00000.arrow  00000.json  listing.parquet
    ├── preprocess/  00000.arrow  00000.json
    ├── inference/   00000.arrow  00000.json
    ├── postprocess/ 00000.json
    ├── results/     00000.parquet            unless the spec names a sink of its own
    ├── quarantine/  preprocess-00000.parquet
    ├── reports/     preprocess-00000.json
    └── profiles/    preprocess-00000/        where a profile was asked for
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_aiopt.data.folder import FileSystemResolver, Folder, resolve_filesystem
from airflow_provider_aiopt.data.manifest import ShardManifest, ShardRef
from airflow_provider_aiopt.exceptions import ShardError


class Workspace:
    """One run's folder on storage that every task of the run reaches.

    :param root: the folder
    """

    def __init__(self, root: Folder) -> None:
        self.root = root

    @classmethod
    def open(
        cls,
        uri: str,
        *,
        storage_options: Mapping[str, Any] | None = None,
        resolver: FileSystemResolver = resolve_filesystem,
    ) -> Workspace:
        """Open the workspace at *uri*; it need not exist yet."""
        return cls(Folder.open(uri, storage_options=storage_options, resolver=resolver))

    @property
    def uri(self) -> str:
        """The workspace's local path or URL."""
        return self.root.uri

    @property
    def run_id(self) -> str:
        """The run's name: the last part of the workspace's path."""
        return self.uri.rsplit("/", 1)[-1]

    @property
    def quarantine(self) -> Folder:
        """Where bad records are kept."""
        return self.root.child("quarantine")

    @property
    def results(self) -> Folder:
        """Where results go unless the spec names a sink."""
        return self.root.child("results")

    def stage(self, stage: str) -> Folder:
        """Return the folder of one stage's shards."""
        return self.root.child(stage)

    def find_manifest(self, ref: ShardRef) -> ShardManifest | None:
        """Return the manifest of a shard, or None where the shard is not finished or has to be made again."""
        try:
            return self.manifest(ref)
        except ShardError:
            return None

    def manifest(self, ref: ShardRef) -> ShardManifest:
        """Return the manifest of a finished shard.

        :raises ShardError: if the shard is not finished, or the manifest is not one of this version
        """
        folder, name = self.stage(ref.stage), f"{ref.shard}.json"
        if not folder.exists(name):
            raise ShardError(
                f"The workspace {self.uri} has no finished shard {ref}. Run the stage {ref.stage!r} first, "
                "with the same workspace; every worker must reach it under this name"
            )
        return ShardManifest.from_json(folder.read(name), folder.uri_of(name))

    def commit(self, manifest: ShardManifest) -> None:
        """Make a shard durable: its data must be written before."""
        self.stage(manifest.stage).write(f"{manifest.shard}.json", manifest.model_dump_json().encode())
