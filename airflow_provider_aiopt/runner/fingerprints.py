"""What a shard's content depends on, as digests: equal digests mean that the work need not be done again."""

from __future__ import annotations

import hashlib
import json

from airflow_provider_aiopt import __version__
from airflow_provider_aiopt.runtimes.files import ModelFiles, file_sha256, read_labels
from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.spec.preprocess import TextPreprocessSpec
from airflow_provider_aiopt.stages.choose import effective_postprocess, effective_preprocess
from airflow_provider_aiopt.stages.transforms.base import Transform


def stage_settings(spec: PipelineSpec, files: ModelFiles, stage: str) -> str:
    """Return, as text, what *stage* makes of its input depends on, beside the input.

    :param files: the model's files
    :param stage: ``preprocess``, ``inference`` or ``postprocess``
    """
    transform = effective_preprocess(spec, files)
    preprocess = transform.model_dump(mode="json")
    postprocess = effective_postprocess(spec, files)
    if stage == "preprocess":
        if not isinstance(transform, TextPreprocessSpec):
            return json.dumps(preprocess)
        return json.dumps([preprocess, file_sha256(files.local(transform.tokenizer))])
    if stage == "inference":
        # What of the output is kept is decided beside the model; how it becomes a result is not.
        kept = postprocess.model_dump(include={"kind", "pooling", "output"})
        model = spec.model
        precision = [model.torch.autocast] if model.torch.autocast else []
        return json.dumps([files.sha256, model.runtime, model.device, preprocess, kept, *precision])
    sink = spec.sink.model_dump(mode="json", include={"uri", "compression"})
    labels = read_labels(spec.model, files) if postprocess.kind == "classification" else None
    return json.dumps([postprocess.model_dump(mode="json"), labels, sink])


def cache_kind(spec: PipelineSpec, files: ModelFiles, transform: Transform) -> str:
    """Return the digest of everything that a cached record's columns depend on, beside its payload.

    :param files: the model's files
    :param transform: what prepares the records
    """
    settings = stage_settings(spec, files, "preprocess")
    return derived(settings, f"{__version__}\0{transform.version}")[:32]


def derived(settings: str, given: str) -> str:
    """Return the digest of what is made with *settings* of an input whose digest is *given*."""
    return hashlib.sha256(f"{settings}\0{given}".encode()).hexdigest()
