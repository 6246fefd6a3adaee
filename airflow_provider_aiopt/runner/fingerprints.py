"""What a shard's content depends on, as digests: equal digests mean that the work need not be done again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from airflow_provider_aiopt import __version__
from airflow_provider_aiopt.runtimes.files import ModelFiles, file_sha256, read_labels
from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.spec.preprocess import CustomPreprocessSpec, TextPreprocessSpec
from airflow_provider_aiopt.stages.choose import effective_postprocess, effective_preprocess, make_transform
from airflow_provider_aiopt.stages.transforms.base import Transform


def stage_settings(
    spec: PipelineSpec, files: ModelFiles, stage: str, *, allowed_callables: Sequence[str] = ()
) -> str:
    """Return, as text, what *stage* makes of its input depends on, beside the input.

    :param files: the model's files
    :param stage: ``preprocess``, ``inference`` or ``postprocess``
    :param allowed_callables: prefixes of the dotted paths that *spec* may name
    """
    if stage == "preprocess":
        return _preparing(spec, files, *_code(spec, files, allowed_callables))
    postprocess = effective_postprocess(spec, files)
    if stage == "inference":
        # What of the output is kept is decided beside the model; how it becomes a result is not.
        kept = postprocess.model_dump(include={"kind", "pooling", "output"})
        model = spec.model
        precision = [model.torch.autocast] if model.torch.autocast else []
        code = _code(spec, files, allowed_callables)
        return json.dumps(
            [files.sha256, model.runtime, model.device, _settings(spec, files), kept, *precision, *code]
        )
    sink = spec.sink.model_dump(mode="json", include={"uri", "compression"})
    labels = read_labels(spec.model, files) if postprocess.kind == "classification" else None
    return json.dumps([postprocess.model_dump(mode="json"), labels, sink])


def cache_kind(spec: PipelineSpec, files: ModelFiles, transform: Transform) -> str:
    """Return the digest of everything that a cached record's columns depend on, beside its payload.

    :param files: the model's files
    :param transform: what prepares the records
    """
    return derived(_preparing(spec, files), f"{__version__}\0{transform.version}")[:32]


def _preparing(spec: PipelineSpec, files: ModelFiles, *code: str) -> str:
    """Return, as text, what prepared records depend on beside their payload and the package's own code."""
    parts: list[Any] = [_settings(spec, files), *code]
    transform = effective_preprocess(spec, files)
    if isinstance(transform, TextPreprocessSpec):
        parts.append(file_sha256(files.local(transform.tokenizer)))
    return json.dumps(parts)


def _settings(spec: PipelineSpec, files: ModelFiles) -> dict[str, Any]:
    # Where it is done changes nothing of what is done.
    return effective_preprocess(spec, files).model_dump(mode="json", exclude={"processes"})


def _code(spec: PipelineSpec, files: ModelFiles, allowed_callables: Sequence[str]) -> list[str]:
    """Return the version of a deployment's own transform; the package's own are for caches to tell apart."""
    if not isinstance(effective_preprocess(spec, files), CustomPreprocessSpec):
        return []
    return [make_transform(spec, files, allowed_callables=allowed_callables).version]


def derived(settings: str, given: str) -> str:
    """Return the digest of what is made with *settings* of an input whose digest is *given*."""
    return hashlib.sha256(f"{settings}\0{given}".encode()).hexdigest()
