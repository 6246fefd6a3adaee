"""Proving that no record is lost, and stopping a run that loses too many to quarantine."""

from __future__ import annotations

from airflow_provider_aiopt.data.manifest import ShardManifest, ShardRef
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.exceptions import AccountingError, TooManyBadRecordsError
from airflow_provider_aiopt.runner.index import RunIndex, read_index
from airflow_provider_aiopt.telemetry.reports import STAGES


def check_balance(manifest: ShardManifest) -> None:
    """Check that a shard's records are its rows plus those in quarantine.

    :raises AccountingError: if they are not
    """
    if manifest.records != manifest.rows + manifest.bad:
        raise AccountingError(
            f"The shard {manifest.ref} began with {manifest.records} records but has {manifest.rows} rows "
            f"and {manifest.bad} records in quarantine. Nothing was committed. This is a bug: please report "
            "it"
        )


def check_bad_fraction(workspace: Workspace, allowed: float) -> None:
    """Check the run's quarantined records so far against ``execution.max_bad_fraction``.

    Only counts that are final enter: what is found too much now cannot become less.

    :param allowed: share of all records, 0 to 1
    :raises TooManyBadRecordsError: if there are more
    """
    index = read_index(workspace.stage(STAGES[0]))
    if index is None or not index.records or allowed >= 1:
        return
    bad = sum(_bad(workspace, shard) for shard in index.shards)
    if bad > allowed * index.records:
        raise TooManyBadRecordsError(
            f"{bad} of {index.records} records ({bad / index.records:.1%}) are in quarantine; "
            f"execution.max_bad_fraction allows {allowed:.1%}. The reasons are in "
            f"{workspace.quarantine.uri}; a retry would find the same. No results were published"
        )


def check_complete(workspace: Workspace, index: RunIndex, refs: tuple[ShardRef, ...]) -> None:
    """Check that references cover the run's shards, each once.

    :raises AccountingError: if a shard is missing, foreign or named twice
    """
    given = sorted(ref.shard for ref in refs)
    if given != sorted(index.shards):
        raise AccountingError(
            f"The run in {workspace.uri} has the shards {', '.join(index.shards) or 'none'}, but "
            f"{', '.join(given) or 'none'} were given: each must be given once"
        )


def _bad(workspace: Workspace, shard: str) -> int:
    """Return how many records of *shard* are in quarantine, by the last stage that finished it."""
    for stage in reversed(STAGES):
        if manifest := workspace.find_manifest(ShardRef(stage, shard)):
            return manifest.bad
    return 0
