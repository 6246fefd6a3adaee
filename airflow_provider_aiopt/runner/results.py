"""Where a run's results go, one Parquet file per shard, and what is removed when a run begins anew."""

from __future__ import annotations

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.data.shards import BatchWriter, parquet_writer
from airflow_provider_aiopt.data.tensors import identity_schema
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.index import RunIndex
from airflow_provider_aiopt.stages.outputs.base import OutputHead
from airflow_provider_aiopt.telemetry.reports import STAGES
from airflow_provider_aiopt.telemetry.run_report import remove_stage_reports


def results_folder(context: RunContext) -> Folder:
    """Return where a run's results go: a partition of the sink, or the run's own workspace."""
    sink = context.spec.sink
    if sink.uri is None:
        return context.workspace.results
    return Folder.open(
        f"{sink.uri.rstrip('/')}/pipeline={context.owner}/run_id={context.workspace.run_id}",
        connection=sink.connection,
        storage_options=sink.storage_options,
        resolver=context.resolver,
    )


def results_writer(context: RunContext, head: OutputHead, shard: str) -> BatchWriter:
    """Return a writer of one shard's results, which has all columns even where there is no result.

    :param head: what makes the results
    :param shard: the shard's name
    """
    import pyarrow as pa

    schema = pa.unify_schemas([identity_schema(), head.schema()])
    codec = context.spec.sink.compression
    return parquet_writer(results_folder(context), f"{shard}.parquet", schema, compression=codec)


def forget_earlier_run(workspace: Workspace, index: RunIndex) -> None:
    """Remove what would be counted twice when a run is ingested again, over another listing or cut otherwise.

    These are the quarantined records of shards that there are no longer, and the stages' reports; each stage
    leaves a new one when it ends.
    """
    for name in workspace.quarantine.names():
        if name.removesuffix(".parquet").rpartition("-")[2] not in index.shards:
            workspace.quarantine.remove(name)
    remove_stage_reports(workspace.root, STAGES)


def remove_foreign_results(folder: Folder, index: RunIndex) -> None:
    """Remove result files of shards that the run no longer has, left by a run over another listing."""
    wanted = {f"{shard}.parquet" for shard in index.shards}
    for name in folder.names():
        if name.endswith(".parquet") and name not in wanted:
            folder.remove(name)
