"""The settings in effect of a stage, for its report: what the advisor may propose to change."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runtimes.files import ModelFiles
from airflow_provider_aiopt.spec.postprocess import ClassificationSpec
from airflow_provider_aiopt.spec.preprocess import CustomPreprocessSpec, PreprocessSpec
from airflow_provider_aiopt.stages.choose import effective_postprocess, effective_preprocess

_OF_STAGE: dict[str, Sequence[str]] = {
    "ingest": ("execution.shards", "execution.workers", "source.format", "source.readers"),
    "preprocess": ("cache.uri", "execution.workers", "preprocess.kind", "preprocess.processes"),
    "inference": (
        "execution.batch_size",
        "execution.workers",
        "model.device",
        "model.runtime",
        "model.threads",
    ),
    "postprocess": ("postprocess.top_k",),
}


def settings_in_effect(
    context: RunContext, stage: str, files: ModelFiles | None = None
) -> dict[str, JsonValue]:
    """Return the settings that bear on *stage*, by their key in the spec, defaults filled in.

    :param context: the run
    :param stage: one of :data:`~airflow_provider_aiopt.telemetry.reports.STAGES`
    :param files: the model's files, whose card may say how to prepare records; None before they are known
    """
    spec = context.spec
    prepare = spec.preprocess if files is None else effective_preprocess(spec, files)
    known: dict[str, JsonValue] = {
        "cache.uri": spec.cache.uri if spec.cache else None,
        "execution.batch_size": spec.execution.batch_size,
        "execution.shards": spec.execution.shards if spec.execution.shard_bytes is None else None,
        "execution.workers": context.workers,
        "model.device": spec.model.device,
        "model.runtime": spec.model.runtime,
        "model.threads": spec.model.threads,
        "postprocess.top_k": _top_k(context, files),
        "source.format": spec.source.format,
        "source.readers": context.readers,
        **_preprocessing(prepare),
    }
    return {key: known[key] for key in _OF_STAGE[stage] if known.get(key) is not None}


def _preprocessing(prepare: PreprocessSpec | None) -> dict[str, JsonValue]:
    if prepare is None:
        return {}
    found: dict[str, JsonValue] = {"preprocess.kind": prepare.kind}
    if isinstance(prepare, CustomPreprocessSpec):
        found["preprocess.processes"] = prepare.processes
    return found


def _top_k(context: RunContext, files: ModelFiles | None) -> int | None:
    if files is None:
        return None
    settings = effective_postprocess(context.spec, files)
    return settings.top_k if isinstance(settings, ClassificationSpec) else None
