"""Staged execution: one stage after the other, durable shards between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

from airflow_provider_aiopt.data.manifest import ShardRef
from airflow_provider_aiopt.data.shards import shard_writer
from airflow_provider_aiopt.exceptions import ShardError
from airflow_provider_aiopt.runner.accounting import check_bad_fraction
from airflow_provider_aiopt.runner.caching import preprocess_cache
from airflow_provider_aiopt.runner.calls import DEVICE_BATCHES, calls_at_once, device_facts
from airflow_provider_aiopt.runner.context import RunContext, StageOutcome
from airflow_provider_aiopt.runner.fingerprints import stage_settings
from airflow_provider_aiopt.runner.index import read_index
from airflow_provider_aiopt.runner.ingest import ingest
from airflow_provider_aiopt.runner.profiling import show_subjects, watched_runtime, watching, with_probe
from airflow_provider_aiopt.runner.results import remove_foreign_results, results_folder, results_writer
from airflow_provider_aiopt.runner.settings import settings_in_effect
from airflow_provider_aiopt.runner.stage import LoadedStage, ShardRunner
from airflow_provider_aiopt.runtimes.files import ModelFiles, find_model
from airflow_provider_aiopt.stages.choose import (
    load_pipeline_model,
    make_batcher,
    make_head,
    make_transform,
    process_initializer,
)
from airflow_provider_aiopt.stages.inference import InferenceStage
from airflow_provider_aiopt.stages.postprocess import PostprocessStage
from airflow_provider_aiopt.stages.preprocess import PreprocessStage, decoding_executor
from airflow_provider_aiopt.telemetry.occupancy import Occupancy
from airflow_provider_aiopt.telemetry.publish import publish_stage_report
from airflow_provider_aiopt.telemetry.recorder import StageRecorder
from airflow_provider_aiopt.telemetry.reports import PROFILE, STAGES, StageReport

_Work = Callable[[RunContext, StageRecorder, Sequence[ShardRef]], tuple[ShardRef, ...]]


def run_stage(context: RunContext, stage: str, refs: Sequence[ShardRef] = ()) -> StageOutcome:
    """Run one stage and leave its report in the workspace, whether it succeeds or not.

    :param context: the run
    :param stage: one of :data:`~airflow_provider_aiopt.telemetry.reports.STAGES`
    :param refs: the shards to work on; none for ``ingest``
    :raises AioptError: one of its subclasses, if the stage as a whole fails
    """
    shard = refs[0].shard if len(refs) == 1 else None
    context = with_probe(context, (stage,), shard)
    recorder = StageRecorder(
        context.spec.name,
        stage,
        shard=shard,
        task=context.task,
        hardware_interval_s=context.hardware_interval_s,
    )
    try:
        with recorder, watching(context.probe):
            _import_libraries()
            made = _WORK[stage](context, recorder, refs)
    finally:
        if context.probe is not None:
            recorder.details[PROFILE] = context.probe.finish()
        publish_stage_report(recorder.report(), context.workspace.root, context.metrics)
    return StageOutcome(made, recorder.report())


def run_pipeline(context: RunContext) -> tuple[StageReport, ...]:
    """Run all stages in this process.

    :param context: the run
    :returns: the stages' reports in order
    """
    refs: tuple[ShardRef, ...] = ()
    reports = []
    for stage in STAGES:
        outcome = run_stage(context, stage, refs)
        refs = outcome.refs
        reports.append(outcome.report)
    return tuple(reports)


def _import_libraries() -> None:
    """Import what every stage needs while the clock says busy: it is work, not waiting for storage."""
    import numpy  # noqa: F401, ICN001
    import pyarrow.parquet  # noqa: F401


def _ingest(context: RunContext, recorder: StageRecorder, _: Sequence[ShardRef]) -> tuple[ShardRef, ...]:
    recorder.details["quarantine_uri"] = context.workspace.quarantine.uri
    return ingest(context, recorder)


def _preprocess(
    context: RunContext, recorder: StageRecorder, refs: Sequence[ShardRef]
) -> tuple[ShardRef, ...]:
    files = find_model(context.spec.model, resolver=context.resolver)
    recorder.evidence.settings = settings_in_effect(context, recorder.stage, files)

    def make_stage(_: int) -> LoadedStage:
        allowed = context.allowed_callables
        transform = make_transform(context.spec, files, allowed_callables=allowed, parts=context.workers)
        show_subjects(context.probe, recorder.stage, transform)
        stage = PreprocessStage(
            transform,
            executor=decoding_executor(
                context.workers,
                limit_s=context.spec.execution.record_timeout_s,
                initializer=process_initializer(context.spec, files, allowed_callables=allowed),
            ),
            cache=preprocess_cache(context.spec, files, transform, recorder.cache),
            calls=recorder.evidence.calls,
        )
        # The records of one batch keep all workers busy; while the last of them is put together, those of
        # the next batch are.
        return LoadedStage(stage, batches=2)

    return _make_shards(context, recorder, files, make_stage, refs)


def _inference(
    context: RunContext, recorder: StageRecorder, refs: Sequence[ShardRef]
) -> tuple[ShardRef, ...]:
    spec = context.spec
    files = find_model(spec.model, resolver=context.resolver)
    recorder.evidence.settings = settings_in_effect(context, recorder.stage, files)

    def make_stage(batches: int) -> LoadedStage:
        calls = calls_at_once(context, batches)
        with recorder.phase("model_load"):
            model = load_pipeline_model(
                spec.model_copy(update={"model": spec.model.model_copy(update={"threads": calls.threads})}),
                resolver=context.resolver,
            )
        recorder.runtime = model.runtime.description
        if model.runtime.fallback:
            recorder.details["device_fallback"] = model.runtime.fallback
        if model.runtime.normalisation:
            recorder.details["normalisation"] = model.runtime.normalisation
        batcher = make_batcher(spec.execution, model.runtime)
        occupancy = Occupancy(calls=recorder.evidence.calls)
        at_end.callback(
            lambda: recorder.details.update(
                batching=batcher.facts(), **device_facts(model.runtime, occupancy)
            )
        )
        transform = make_transform(spec, model.files, allowed_callables=context.allowed_callables)
        head = make_head(spec, model.files)
        runtime = watched_runtime(context.probe, model.runtime)
        stage = InferenceStage(runtime, transform, head, batcher, occupancy)
        show_subjects(context.probe, recorder.stage, stage, transform, head)
        if model.runtime.on_device:
            return LoadedStage(stage, batches=DEVICE_BATCHES)
        return LoadedStage(stage, batches=calls.lanes, lanes=calls.lanes)

    recorder.details["model_sha256"] = files.sha256
    with ExitStack() as at_end:
        return _make_shards(context, recorder, files, make_stage, refs)


def _postprocess(
    context: RunContext, recorder: StageRecorder, refs: Sequence[ShardRef]
) -> tuple[ShardRef, ...]:
    files = find_model(context.spec.model, resolver=context.resolver)
    recorder.evidence.settings = settings_in_effect(context, recorder.stage, files)
    head, folder = make_head(context.spec, files), results_folder(context)
    settings = _settings(context, files)
    check_bad_fraction(context, settings)  # before results appear
    show_subjects(context.probe, recorder.stage, head)
    made = ShardRunner(
        context,
        recorder,
        settings=settings[recorder.stage],
        make_stage=lambda _: LoadedStage(PostprocessStage(head)),
        target=folder,
        make_writer=partial(results_writer, context, head),
    ).run(refs)
    index = read_index(context.workspace.stage("ingest"))
    if index is None:
        raise ShardError(f"The workspace {context.workspace.uri} has no finished ingestion. Run ingest first")
    remove_foreign_results(folder, index)
    recorder.details["results_uri"] = folder.uri
    return made


def _make_shards(
    context: RunContext,
    recorder: StageRecorder,
    files: ModelFiles,
    make_stage: Callable[[int], LoadedStage],
    refs: Sequence[ShardRef],
) -> tuple[ShardRef, ...]:
    """Run a stage whose output the next one reads."""
    folder, settings = context.workspace.stage(recorder.stage), _settings(context, files)
    made = ShardRunner(
        context,
        recorder,
        settings=settings[recorder.stage],
        make_stage=make_stage,
        target=folder,
        make_writer=lambda shard: shard_writer(folder, f"{shard}.arrow"),
    ).run(refs)
    check_bad_fraction(context, settings)
    return made


def _settings(context: RunContext, files: ModelFiles) -> dict[str, str]:
    allowed = context.allowed_callables
    return {
        stage: stage_settings(context.spec, files, stage, allowed_callables=allowed) for stage in STAGES[1:]
    }


_WORK: dict[str, _Work] = {
    "ingest": _ingest,
    "preprocess": _preprocess,
    "inference": _inference,
    "postprocess": _postprocess,
}
