"""Choosing the transform and the output head that a spec and its model call for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from airflow_provider_aiopt.data.folder import FileSystemResolver, resolve_filesystem
from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.runtimes.base import ModelRuntime, Normalisation
from airflow_provider_aiopt.runtimes.files import ModelFiles, find_model, read_labels
from airflow_provider_aiopt.runtimes.loading import LoadedModel, load_model
from airflow_provider_aiopt.spec.execution import AUTO, ExecutionSpec
from airflow_provider_aiopt.spec.loading import load_spec
from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.spec.postprocess import (
    ClassificationSpec,
    EmbeddingSpec,
    PostprocessSpec,
    RawOutputSpec,
)
from airflow_provider_aiopt.spec.preprocess import (
    CustomPreprocessSpec,
    ImagePreprocessSpec,
    PreprocessSpec,
    TextPreprocessSpec,
)
from airflow_provider_aiopt.stages.batching.batcher import Batcher
from airflow_provider_aiopt.stages.batching.knee import KneeSearch, doubling_sizes
from airflow_provider_aiopt.stages.batching.policies import (
    BatchPolicy,
    BucketedBatching,
    FixedBatching,
    ModelBatching,
    fixed_rows,
)
from airflow_provider_aiopt.stages.outputs.base import OutputHead
from airflow_provider_aiopt.stages.outputs.classification import ClassificationHead
from airflow_provider_aiopt.stages.outputs.vectors import EmbeddingHead, RawHead
from airflow_provider_aiopt.stages.transforms.base import Transform
from airflow_provider_aiopt.stages.transforms.custom import CustomTransform, TransformSource
from airflow_provider_aiopt.stages.transforms.image import ImageTransform
from airflow_provider_aiopt.stages.transforms.tabular import TabularTransform
from airflow_provider_aiopt.stages.transforms.text import TextTransform


def effective_preprocess(spec: PipelineSpec, files: ModelFiles) -> PreprocessSpec:
    """Return the spec's preprocessing, or else that of the model's card.

    :raises SpecError: if neither says
    """
    if spec.preprocess is not None:
        return spec.preprocess
    if files.card is None or not files.card.preprocess:
        raise SpecError(
            f"preprocess: missing, and the model {files.uri} has no card that says how to preprocess. "
            "Set preprocess.kind to image, text, tabular or custom"
        )
    # Checks the card's section as if the user had written it: a text model over rows of two columns fails.
    completed = load_spec(spec, overrides={"preprocess": dict(files.card.preprocess)})
    return cast("PreprocessSpec", completed.preprocess)


def effective_postprocess(spec: PipelineSpec, files: ModelFiles) -> PostprocessSpec:
    """Return the spec's postprocessing, or else what the model's task calls for."""
    if spec.postprocess is not None:
        return spec.postprocess
    task = files.card.task if files.card else None
    if task == "image-classification":
        return ClassificationSpec()
    return EmbeddingSpec() if task == "text-embedding" else RawOutputSpec()


def load_pipeline_model(
    spec: PipelineSpec, *, resolver: FileSystemResolver = resolve_filesystem
) -> LoadedModel:
    """Load the model of *spec*, told what its preprocessing and its batches will be.

    :param resolver: how to find file systems
    """
    files = find_model(spec.model, resolver=resolver)
    settings = effective_preprocess(spec, files)
    normalisation = None
    if isinstance(settings, ImagePreprocessSpec):
        normalisation = Normalisation(settings.mean, settings.std, settings.layout)
    return load_model(
        spec.model,
        resolver=resolver,
        batch_sizes=spec.execution.call_sizes,
        normalisation=normalisation,
    )


def make_transform(
    spec: PipelineSpec, files: ModelFiles, *, allowed_callables: Sequence[str] = (), parts: int = 1
) -> Transform:
    """Build the transform.

    :param files: the model's files
    :param allowed_callables: prefixes of the dotted paths that *spec* may name
    :param parts: calls that a custom transform's batch is cut into, to be worked on side by side
    """
    settings = effective_preprocess(spec, files)
    if isinstance(settings, CustomPreprocessSpec):
        return CustomTransform(TransformSource.from_spec(settings, allowed_callables), parts=parts)
    if isinstance(settings, ImagePreprocessSpec):
        return ImageTransform(settings)
    if isinstance(settings, TextPreprocessSpec):
        return TextTransform(settings, files.local(settings.tokenizer))
    return TabularTransform(settings, len(spec.source.columns))


def process_initializer(
    spec: PipelineSpec, files: ModelFiles, *, allowed_callables: Sequence[str]
) -> Callable[[], object] | None:
    """Return what each process calls before it prepares records; None where threads are to do it.

    :param files: the model's files
    :param allowed_callables: prefixes of the dotted paths that *spec* may name
    """
    settings = effective_preprocess(spec, files)
    if not isinstance(settings, CustomPreprocessSpec) or not settings.processes:
        return None
    return TransformSource.from_spec(settings, allowed_callables).warm


def make_head(spec: PipelineSpec, files: ModelFiles) -> OutputHead:
    """Build the output head."""
    settings = effective_postprocess(spec, files)
    if isinstance(settings, ClassificationSpec):
        return ClassificationHead(settings, read_labels(spec.model, files))
    return EmbeddingHead(settings) if isinstance(settings, EmbeddingSpec) else RawHead(settings)


def make_batcher(spec: ExecutionSpec, runtime: ModelRuntime) -> Batcher:
    """Build what cuts batches into calls; a model with a batch axis of fixed length allows one size only."""
    rows = fixed_rows(runtime.inputs)
    if rows is not None:
        return Batcher(ModelBatching(rows))
    batching = spec.batching
    policy: BatchPolicy = (
        BucketedBatching(batching.pad_to) if batching.pad_to else FixedBatching(spec.batch_rows)
    )
    if spec.batch_size != AUTO:
        return Batcher(policy)
    latency = batching.max_latency_ms
    search = KneeSearch(
        batching.pad_to or doubling_sizes(spec.batch_rows),
        max_latency_s=None if latency is None else latency / 1000,
        max_bytes=batching.max_bytes,
    )
    return Batcher(policy, search)
