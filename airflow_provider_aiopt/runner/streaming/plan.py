"""Which shards a stream has to work on, and which an earlier attempt finished."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_aiopt.data.manifest import ShardManifest, ShardRef, shard_name
from airflow_provider_aiopt.data.source import RecordSource
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.fingerprints import derived, stage_settings
from airflow_provider_aiopt.runner.ingest import Bounds, cut_evenly
from airflow_provider_aiopt.runner.results import results_folder
from airflow_provider_aiopt.runner.resume import finished_shard
from airflow_provider_aiopt.runtimes.files import ModelFiles
from airflow_provider_aiopt.telemetry.reports import STAGES


@dataclass(frozen=True, slots=True)
class PlannedShard:
    """One shard of a stream.

    :param name: its name
    :param bounds: first record and the one after the last
    :param fingerprint: digest of everything its results depend on, the same as in staged execution
    :param finished: its manifest where an earlier attempt committed it
    """

    name: str
    bounds: Bounds
    fingerprint: str
    finished: ShardManifest | None


def plan_shards(
    context: RunContext, files: ModelFiles, source: RecordSource, records: int
) -> list[PlannedShard]:
    """Cut *records* into the spec's shards and find those that are finished."""
    folder = results_folder(context)
    settings = [
        stage_settings(context.spec, files, stage, allowed_callables=context.allowed_callables)
        for stage in STAGES[1:]
    ]
    plan = []
    for number, bounds in enumerate(cut_evenly(records, context.spec.execution.shards)):
        fingerprint = source.fingerprint(*bounds)
        for text in settings:
            fingerprint = derived(text, fingerprint)
        name = shard_name(number)
        finished = finished_shard(context, ShardRef(STAGES[-1], name), fingerprint, folder)
        plan.append(PlannedShard(name, bounds, fingerprint, finished))
    return plan
