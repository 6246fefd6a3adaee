"""The spec of a whole pipeline."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from airflow_provider_aiopt.spec.base import SpecModel
from airflow_provider_aiopt.spec.cache import CacheSpec
from airflow_provider_aiopt.spec.execution import ExecutionSpec
from airflow_provider_aiopt.spec.model import ModelSpec
from airflow_provider_aiopt.spec.postprocess import PostprocessSpec
from airflow_provider_aiopt.spec.preprocess import PreprocessSpec, TabularPreprocessSpec, TextPreprocessSpec
from airflow_provider_aiopt.spec.sink import SinkSpec
from airflow_provider_aiopt.spec.source import SourceSpec


class PipelineSpec(SpecModel):
    """Source, preprocessing, model, postprocessing, sink and execution of one pipeline.

    The command line, every operator and every execution mode take the same spec and give the same results.

    :param name: name of the pipeline in reports and metrics
    :param source: where the records come from
    :param preprocess: how they become tensors; default: what the model's card says
    :param model: which model runs
    :param postprocess: how its output becomes results; default: what the model's card says
    :param sink: where the results go
    :param execution: how the work is cut
    :param cache: where prepared records are kept for the next run; default: nowhere
    """

    name: str = Field(default="pipeline", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}$")
    source: SourceSpec
    preprocess: PreprocessSpec | None = None
    model: ModelSpec
    postprocess: PostprocessSpec | None = None
    sink: SinkSpec = SinkSpec()
    execution: ExecutionSpec = ExecutionSpec()
    cache: CacheSpec | None = None

    @model_validator(mode="after")
    def _source_fits_preprocess(self) -> Self:
        source, preprocess = self.source, self.preprocess
        if isinstance(preprocess, TabularPreprocessSpec):
            if not source.columns:
                raise ValueError(
                    "preprocess.kind 'tabular' needs rows: set source.format to csv, jsonl or parquet, or to "
                    "python with source.columns, or use kind 'image' or 'text' for files"
                )
            for key, values in (("mean", preprocess.mean), ("std", preprocess.std)):
                if values and len(values) != len(source.columns):
                    raise ValueError(
                        f"preprocess.{key} has {len(values)} values for {len(source.columns)} "
                        "source.columns; give one per column"
                    )
        if isinstance(preprocess, TextPreprocessSpec) and len(source.columns) > 1:
            raise ValueError(
                f"preprocess.kind 'text' takes one column, source.columns names {len(source.columns)}: "
                f"{', '.join(source.columns)}"
            )
        if preprocess is not None and preprocess.kind == "image" and source.format in ("csv", "jsonl"):
            raise ValueError(
                f"preprocess.kind 'image' needs bytes, which source.format {source.format!r} cannot hold: "
                "use 'files', or 'parquet' with a binary column"
            )
        return self

    @model_validator(mode="after")
    def _source_fits_cut(self) -> Self:
        if self.source.format == "python" and self.execution.shard_bytes is not None:
            raise ValueError(
                "execution.shard_bytes needs sizes, which a source of format 'python' does not list. Set "
                "execution.shards instead"
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as plain JSON values, without the keys that have their default."""
        values = self.model_dump(mode="json", exclude_defaults=True)
        for name in ("preprocess", "postprocess"):  # their kind is a default, but no section is read without
            if section := getattr(self, name):
                values[name] = {"kind": section.kind, **values[name]}
        return values

    def to_json(self) -> str:
        """Return the spec as JSON text that :func:`~airflow_provider_aiopt.spec.load_spec` reads back."""
        return self.model_dump_json(indent=2)

    def to_yaml(self) -> str:
        """Return the spec as YAML text that :func:`~airflow_provider_aiopt.spec.load_spec` reads back."""
        import yaml

        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
