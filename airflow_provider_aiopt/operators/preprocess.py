"""Preprocessing as an Airflow operator."""

from __future__ import annotations

from airflow_provider_aiopt.operators.base import ShardOperator


class PreprocessOperator(ShardOperator):
    """Decodes records to the tensors that the model takes; what cannot be decoded is quarantined.

    :param spec: see :class:`~airflow_provider_aiopt.operators.base.SpecOperator`
    :param workspace: see there
    :param shard: see :class:`~airflow_provider_aiopt.operators.base.ShardOperator`
    """

    stage = "preprocess"
