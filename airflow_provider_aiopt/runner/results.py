"""Where a run's results go: one Parquet file per shard."""

from __future__ import annotations

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.index import RunIndex


def results_folder(context: RunContext) -> Folder:
    """Return where a run's results go: a partition of the sink, or the run's own workspace."""
    sink = context.spec.sink
    if sink.uri is None:
        return context.workspace.results
    return Folder.open(
        f"{sink.uri.rstrip('/')}/run_id={context.workspace.run_id}",
        connection=sink.connection,
        storage_options=sink.storage_options,
        resolver=context.resolver,
    )


def remove_foreign_results(folder: Folder, index: RunIndex) -> None:
    """Remove result files of shards that the run no longer has, left by a run over another listing."""
    wanted = {f"{shard}.parquet" for shard in index.shards}
    for name in folder.names():
        if name.endswith(".parquet") and name not in wanted:
            folder.remove(name)
