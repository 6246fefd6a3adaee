"""Finding the work that an earlier attempt finished."""

from __future__ import annotations

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.data.manifest import ShardManifest, ShardRef
from airflow_provider_aiopt.runner.context import RunContext


def finished_shard(
    context: RunContext, ref: ShardRef, fingerprint: str, folder: Folder
) -> ShardManifest | None:
    """Return the manifest of a shard that an earlier attempt made of the same input with the same settings.

    :param ref: the shard
    :param fingerprint: digest of everything its content depends on
    :param folder: where its data file lies
    :returns: None where there is no such shard, its file is gone, or the spec says to do everything again
    """
    if not context.spec.execution.resume:
        return None
    manifest = context.workspace.find_manifest(ref)
    if manifest is None or manifest.fingerprint != fingerprint:
        return None
    return manifest if folder.exists(manifest.file) else None
