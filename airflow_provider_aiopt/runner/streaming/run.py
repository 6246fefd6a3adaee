"""A whole run, streamed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing

from airflow_provider_aiopt.data.manifest import ShardRef, shard_name
from airflow_provider_aiopt.exceptions import ShardError, TooManyBadRecordsError
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.cutting import Bounds, cut_source
from airflow_provider_aiopt.runner.index import RunIndex, open_planned, open_source, write_index
from airflow_provider_aiopt.runner.profiling import watching, with_probe
from airflow_provider_aiopt.runner.results import (
    forget_earlier_run,
    remove_foreign_results,
    results_folder,
)
from airflow_provider_aiopt.runner.streaming.engine import StreamEngine
from airflow_provider_aiopt.runner.streaming.plan import (
    OtherShards,
    PlannedShard,
    plan_shards,
    shard_fingerprints,
)
from airflow_provider_aiopt.runner.streaming.sink import StreamSink
from airflow_provider_aiopt.runtimes.files import ModelFiles, find_model
from airflow_provider_aiopt.stages.choose import make_head
from airflow_provider_aiopt.telemetry.publish import publish_stage_report
from airflow_provider_aiopt.telemetry.reports import PROFILE, STAGES, StageReport
from airflow_provider_aiopt.telemetry.stream_recorder import StreamRecorder


def run_streaming(context: RunContext, refs: Sequence[ShardRef] | None = None) -> tuple[StageReport, ...]:
    """Run all stages at once in this process; the results are those of staged execution.

    A bounded number of batches is under way, whatever the input's size.  Results are committed shard by
    shard, and a run that was killed goes on after the last one.

    :param context: the run
    :param refs: shards that :func:`~airflow_provider_aiopt.runner.planning.plan_run` made; other processes
        may stream the others meanwhile.  Default: the whole run, listing the source first
    :returns: the stages' reports in order; their times overlap
    :raises AioptError: one of its subclasses, if the run as a whole fails
    """
    shard = refs[0].shard if refs and len(refs) == 1 else None
    context = with_probe(context, STAGES, shard)
    recorder = StreamRecorder(
        context.spec.name,
        shard=shard,
        task=context.task,
        progress=context.progress,
        hardware_interval_s=context.hardware_interval_s,
    )
    try:
        with recorder, watching(context.probe):
            if refs is None:
                _stream_all(context, recorder)
            else:
                _stream_planned(context, recorder, refs)
    finally:
        if context.probe is not None:
            recorder.stages[context.probe.stage].details[PROFILE] = context.probe.finish()
        for report in recorder.reports():
            publish_stage_report(report, context.workspace.root, context.metrics)
    return recorder.reports()


def _stream_all(context: RunContext, recorder: StreamRecorder) -> None:
    folder, results = context.workspace.stage(STAGES[0]), results_folder(context)
    files = _find_model(context, recorder)
    with recorder.busy("ingest"):
        source = open_source(
            folder,
            context.spec.source,
            resolver=context.resolver,
            allowed_callables=context.allowed_callables,
        )
        cuts = [(shard_name(number), bounds) for number, bounds in enumerate(cut_source(context, source))]
        shards = plan_shards(context, files, source, cuts)
    head = make_head(context.spec, files)
    names = tuple(name for name, _ in cuts)
    with closing(source), StreamSink(context, recorder, head, shards, records=source.count()) as sink:
        _stream(StreamEngine(context, recorder, source, head), sink, shards, names)
    index = RunIndex(records=recorder.stages["ingest"].items_in, shards=names)
    forget_earlier_run(context.workspace, index)
    write_index(folder, index)
    remove_foreign_results(results, index)


def _stream_planned(context: RunContext, recorder: StreamRecorder, refs: Sequence[ShardRef]) -> None:
    files = _find_model(context, recorder)
    with recorder.busy("ingest"):
        source, index = open_planned(
            context.workspace.stage(STAGES[0]),
            context.spec.source,
            resolver=context.resolver,
            allowed_callables=context.allowed_callables,
        )
        cuts = dict(zip(index.shards, index.bounds, strict=True))
        wanted = {ref.shard: _bounds(context, ref, cuts) for ref in refs}
        shards = plan_shards(context, files, source, wanted.items())
        others = None
        if context.spec.execution.max_bad_fraction < 1:
            rest = ((name, bounds) for name, bounds in cuts.items() if name not in wanted)
            found = shard_fingerprints(context, files, source, rest)
            others = OtherShards(context, {name: fingerprint for name, fingerprint, _ in found})
    head = make_head(context.spec, files)
    with (
        closing(source),
        StreamSink(context, recorder, head, shards, records=index.records, others=others) as sink,
    ):
        _stream(StreamEngine(context, recorder, source, head), sink, shards, index.shards)


def _stream(
    engine: StreamEngine, sink: StreamSink, shards: Sequence[PlannedShard], names: Sequence[str]
) -> None:
    """Take *shards* through *engine* into *sink*; *names* are those of all shards of the run."""
    engine.expect(sum(shard.records for shard in shards))
    todo = [shard for shard in shards if not sink.skip(shard)]
    try:
        if todo:
            with closing(engine.run(todo)) as items:
                for item in items:
                    sink.take(item)
    except TooManyBadRecordsError:
        sink.withdraw(names)
        raise


def _find_model(context: RunContext, recorder: StreamRecorder) -> ModelFiles:
    files = find_model(context.spec.model, resolver=context.resolver)
    recorder.stages["ingest"].details["quarantine_uri"] = context.workspace.quarantine.uri
    recorder.stages["inference"].details["model_sha256"] = files.sha256
    recorder.stages["postprocess"].details["results_uri"] = results_folder(context).uri
    return files


def _bounds(context: RunContext, ref: ShardRef, cuts: Mapping[str, Bounds]) -> Bounds:
    if ref.stage != STAGES[0] or ref.shard not in cuts:
        raise ShardError(
            f"The plan of {context.workspace.uri} has no shard {ref}: it has {len(cuts)}. Hand on the output "
            "of PlanOperator in the same workspace: shard=plan.output"
        )
    return cuts[ref.shard]
