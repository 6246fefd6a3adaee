"""Proving that no record is lost, and stopping a run that loses too many to quarantine."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_aiopt.data.manifest import ShardRef
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.exceptions import AccountingError, TooManyBadRecordsError
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.fingerprints import derived
from airflow_provider_aiopt.runner.index import read_index
from airflow_provider_aiopt.telemetry.reports import STAGES


def check_balance(ref: ShardRef, records: int, rows: int, bad: int) -> None:
    """Check, before a shard appears, that its records are its rows plus those in quarantine.

    :param ref: the shard
    :param records: records that the source gave for it
    :param rows: good records that its file holds
    :param bad: records that this stage and those before it quarantined
    :raises AccountingError: if they do not add up
    """
    if records != rows + bad:
        raise AccountingError(
            f"The shard {ref} began with {records} records but has {rows} rows and {bad} records in "
            "quarantine. Nothing was committed. This is a bug: please report it"
        )


def check_bad_fraction(context: RunContext, settings: Mapping[str, str]) -> None:
    """Check the run's quarantined records so far against ``execution.max_bad_fraction``.

    Only counts that are final enter: what is found too much now cannot become less.  What an earlier attempt
    left of another listing or other settings does not count.

    :param context: the run
    :param settings: what each stage after ingestion depends on, in order, as
        :func:`~airflow_provider_aiopt.runner.fingerprints.stage_settings` has it
    :raises TooManyBadRecordsError: if there are more
    """
    workspace, allowed = context.workspace, context.spec.execution.max_bad_fraction
    index = read_index(workspace.stage(STAGES[0])) if allowed < 1 else None
    if index is None or not index.records:
        return
    check_fraction(context, sum(_bad(workspace, shard, settings) for shard in index.shards), index.records)


def check_fraction(context: RunContext, bad: int, records: int) -> None:
    """Check *bad* of *records* records against ``execution.max_bad_fraction``.

    :raises TooManyBadRecordsError: if there are more
    """
    allowed = context.spec.execution.max_bad_fraction
    if bad > allowed * records:
        raise TooManyBadRecordsError(
            f"{bad} of {records} records ({bad / records:.1%}) are in quarantine; "
            f"execution.max_bad_fraction allows {allowed:.1%}. The reasons are in "
            f"{context.workspace.quarantine.uri}; a retry would find the same. No results were published"
        )


def _bad(workspace: Workspace, shard: str, settings: Mapping[str, str]) -> int:
    """Return how many records of *shard* are in quarantine, by the last stage that finished it."""
    found = workspace.manifest(ShardRef(STAGES[0], shard))
    for stage, text in settings.items():
        later = workspace.find_manifest(ShardRef(stage, shard))
        if later is None or later.fingerprint != derived(text, found.fingerprint):
            break
        found = later
    return found.bad
