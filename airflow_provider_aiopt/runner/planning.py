"""Listing a source once for tasks that each stream shards of it."""

from __future__ import annotations

from airflow_provider_aiopt.data.manifest import ShardRef, shard_name
from airflow_provider_aiopt.data.source import Source
from airflow_provider_aiopt.runner.context import RunContext, StageOutcome
from airflow_provider_aiopt.runner.cutting import cut_source
from airflow_provider_aiopt.runner.index import RunIndex, open_source, write_index
from airflow_provider_aiopt.runner.results import (
    forget_earlier_run,
    remove_foreign_results,
    results_folder,
)
from airflow_provider_aiopt.stages.ingest import NAME
from airflow_provider_aiopt.telemetry.publish import publish_stage_report
from airflow_provider_aiopt.telemetry.recorder import StageRecorder


def plan_run(context: RunContext) -> StageOutcome:
    """List the source, cut it into shards, and leave both in the workspace; nothing is read yet.

    It is the one task of the run that runs alone, so it also removes what an earlier run over another
    listing left.  Its report counts no records: whoever streams a shard does.

    :param context: the run
    :returns: references to the shards, to be given to
        :func:`~airflow_provider_aiopt.runner.streaming.run_streaming`, and the report
    :raises SourceError: if the source cannot be listed
    """
    recorder = StageRecorder(
        context.spec.name, NAME, task=context.task, hardware_interval_s=context.hardware_interval_s
    )
    try:
        with recorder:
            index = _plan(context, recorder)
    finally:
        publish_stage_report(recorder.report(), context.workspace.root, context.metrics)
    return StageOutcome(tuple(ShardRef(NAME, shard) for shard in index.shards), recorder.report())


def _plan(context: RunContext, recorder: StageRecorder) -> RunIndex:
    folder, results = context.workspace.stage(NAME), results_folder(context)
    recorder.details.update(
        quarantine_uri=context.workspace.quarantine.uri, results_uri=results.uri, mode="streaming"
    )
    with recorder.phase("wait_input"):
        source = open_source(
            folder,
            context.spec.source,
            resolver=context.resolver,
            allowed_callables=context.allowed_callables,
        )
        cuts = cut_source(context, source)
    rows = context.spec.source.format != "files"
    index = RunIndex(
        records=source.count(),
        shards=tuple(shard_name(number) for number in range(len(cuts))),
        bounds=tuple(cuts),
        row_counts=tuple(source.row_counts) if rows and isinstance(source, Source) else (),
    )
    recorder.details.update(records=index.records, shards=len(cuts), source_retries=source.retries)
    with recorder.phase("wait_output"):
        forget_earlier_run(context.workspace, index)
        remove_foreign_results(results, index)
        write_index(folder, index)
    return index
