"""Where results go."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from airflow_provider_aiopt.spec.base import SpecModel, StorageOptions


class SinkSpec(SpecModel):
    """Parquet files, one per shard, that appear whole or not at all.

    :param uri: folder or URL under which each run gets a partition ``pipeline=<name>/run_id=<run>``, the name
        being the DAG's id or outside Airflow the pipeline's; default: ``results`` in the run's own workspace
    :param compression: Parquet codec
    :param connection: Airflow connection id for the credentials; only inside Airflow
    :param storage_options: keyword arguments of the fsspec file system
    """

    uri: str | None = None
    compression: Literal["zstd", "snappy", "gzip", "lz4", "none"] = "zstd"
    connection: str | None = None
    storage_options: StorageOptions = Field(default_factory=dict)
