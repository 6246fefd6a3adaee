"""Running the beginning of a source: listed once, streamed often, cut in one way or another."""

from __future__ import annotations

from contextlib import closing

from airflow_provider_aiopt.data.manifest import ShardRef, shard_name
from airflow_provider_aiopt.data.source import Source
from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.exceptions import ShardError, SpecError
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.cutting import cut_evenly
from airflow_provider_aiopt.runner.index import RunIndex, copy_listing, open_source, read_index, write_index
from airflow_provider_aiopt.stages.ingest import NAME


def list_sample(context: RunContext, records: int) -> tuple[int, int]:
    """List the source in the workspace, and plan a run over its first records.

    :param context: the spec, and the workspace that keeps the listing
    :param records: how many records to take at most
    :returns: the records that are taken, and those that there are
    :raises SpecError: if the source is a list of uploads, whose listing no run keeps
    :raises SourceError: if the source cannot be listed
    """
    if context.spec.source.manifest is not None:
        raise SpecError(
            f"source.manifest is {context.spec.source.manifest}: only a source that is listed can be "
            "sampled. Leave the manifest out, for example with --set source.manifest=null"
        )
    folder = context.workspace.stage(NAME)
    source = open_source(
        folder, context.spec.source, resolver=context.resolver, allowed_callables=context.allowed_callables
    )
    with closing(source):
        total = source.count()
        taken = min(records, total)
        rows = context.spec.source.format != "files"
        index = RunIndex(
            records=taken,
            shards=(shard_name(0),),
            bounds=((0, taken),),
            row_counts=tuple(source.row_counts) if rows and isinstance(source, Source) else (),
        )
    write_index(folder, index)
    return taken, total


def cut_sample(
    listed: Workspace, workspace: Workspace, *, shard_records: int, records: int | None = None
) -> tuple[ShardRef, ...]:
    """Plan a run over the sample that another workspace has.

    :param listed: where :func:`list_sample` left it
    :param workspace: of the run
    :param shard_records: records of one shard; the last may have fewer
    :param records: how many of the sample's to take; default: all
    :returns: references to the shards, to be given to
        :func:`~airflow_provider_aiopt.runner.streaming.run_streaming`
    :raises ShardError: if there is no sample
    """
    index = read_index(listed.stage(NAME))
    if index is None:
        raise ShardError(f"{listed.stage(NAME).uri} has no listed sample. Call list_sample first")
    taken = index.records if records is None else min(records, index.records)
    bounds = cut_evenly(taken, -(-taken // shard_records))
    copy_listing(listed.stage(NAME), workspace.stage(NAME))
    cut = index.model_copy(
        update={
            "records": taken,
            "shards": tuple(shard_name(number) for number in range(len(bounds))),
            "bounds": tuple(bounds),
        }
    )
    write_index(workspace.stage(NAME), cut)
    return tuple(ShardRef(NAME, shard) for shard in cut.shards)
