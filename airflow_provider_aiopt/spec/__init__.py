"""What a user declares: the pipeline spec and the model card, as frozen models with a JSON Schema."""

from airflow_provider_aiopt.spec.cache import CacheSpec
from airflow_provider_aiopt.spec.execution import BatchingSpec, ExecutionSpec
from airflow_provider_aiopt.spec.loading import load_spec, spec_json_schema
from airflow_provider_aiopt.spec.model import ModelSpec
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
    TabularPreprocessSpec,
    TextPreprocessSpec,
)
from airflow_provider_aiopt.spec.sink import SinkSpec
from airflow_provider_aiopt.spec.source import SourceSpec

__all__ = [
    "BatchingSpec",
    "CacheSpec",
    "ClassificationSpec",
    "CustomPreprocessSpec",
    "EmbeddingSpec",
    "ExecutionSpec",
    "ImagePreprocessSpec",
    "ModelSpec",
    "PipelineSpec",
    "PostprocessSpec",
    "PreprocessSpec",
    "RawOutputSpec",
    "SinkSpec",
    "SourceSpec",
    "TabularPreprocessSpec",
    "TextPreprocessSpec",
    "load_spec",
    "spec_json_schema",
]
