"""A whole run, streamed."""

from __future__ import annotations

from contextlib import closing

from airflow_provider_aiopt.exceptions import TooManyBadRecordsError
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.index import RunIndex, open_source, write_index
from airflow_provider_aiopt.runner.results import (
    forget_earlier_run,
    remove_foreign_results,
    results_folder,
)
from airflow_provider_aiopt.runner.streaming.engine import StreamEngine
from airflow_provider_aiopt.runner.streaming.plan import plan_shards
from airflow_provider_aiopt.runner.streaming.sink import StreamSink
from airflow_provider_aiopt.runtimes.files import find_model
from airflow_provider_aiopt.stages.choose import make_head
from airflow_provider_aiopt.telemetry.publish import publish_stage_report
from airflow_provider_aiopt.telemetry.reports import STAGES, StageReport
from airflow_provider_aiopt.telemetry.stream_recorder import StreamRecorder


def run_streaming(context: RunContext) -> tuple[StageReport, ...]:
    """Run all stages at once in this process; the results are those of staged execution.

    A bounded number of batches is under way, whatever the input's size.  Results are committed shard by
    shard, and a run that was killed goes on after the last one.

    :param context: the run
    :returns: the stages' reports in order; their times overlap
    :raises AioptError: one of its subclasses, if the run as a whole fails
    """
    recorder = StreamRecorder(context.spec.name, task=context.task)
    try:
        with recorder:
            _stream(context, recorder)
    finally:
        for report in recorder.reports():
            publish_stage_report(report, context.workspace.root, context.metrics)
    return recorder.reports()


def _stream(context: RunContext, recorder: StreamRecorder) -> None:
    folder, results = context.workspace.stage(STAGES[0]), results_folder(context)
    files = find_model(context.spec.model, resolver=context.resolver)
    recorder.stages["ingest"].details["quarantine_uri"] = context.workspace.quarantine.uri
    recorder.stages["inference"].details["model_sha256"] = files.sha256
    recorder.stages["postprocess"].details["results_uri"] = results.uri
    with recorder.busy("ingest"):
        source = open_source(
            folder,
            context.spec.source,
            resolver=context.resolver,
            allowed_callables=context.allowed_callables,
        )
        shards = plan_shards(context, files, source, source.count())
    head = make_head(context.spec, files)
    engine = StreamEngine(context, recorder, source, head)
    with StreamSink(context, recorder, head, shards) as sink:
        todo = [shard for shard in shards if not sink.skip(shard)]
        try:
            if todo:
                with closing(engine.run(todo)) as items:
                    for item in items:
                        sink.take(item)
        except TooManyBadRecordsError:
            sink.withdraw()
            raise
        finally:
            recorder.stages["ingest"].details["source_retries"] = source.retries
    index = RunIndex(records=recorder.stages["ingest"].items_in, shards=tuple(shard.name for shard in shards))
    forget_earlier_run(context.workspace, index)
    write_index(folder, index)
    remove_foreign_results(results, index)
