"""The cache of a run's preprocessing."""

from __future__ import annotations

from airflow_provider_aiopt.data.cache.base import RowCache
from airflow_provider_aiopt.data.cache.guard import CacheTally
from airflow_provider_aiopt.data.cache.opening import open_cache
from airflow_provider_aiopt.runner.fingerprints import cache_kind
from airflow_provider_aiopt.runtimes.files import ModelFiles
from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.stages.transforms.base import Transform


def preprocess_cache(
    spec: PipelineSpec, files: ModelFiles, transform: Transform, tally: CacheTally
) -> RowCache | None:
    """Open the cache that *spec* names, None where it names none.

    :param files: the model's files
    :param transform: what prepares the records
    :param tally: where hits, misses and errors are counted
    :raises MissingExtraError: if the cache needs a module that is not installed
    """
    if spec.cache is None:
        return None
    return open_cache(spec.cache, cache_kind(spec, files, transform), tally)
