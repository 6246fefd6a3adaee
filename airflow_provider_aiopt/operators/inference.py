"""Inference as an Airflow operator."""

from __future__ import annotations

from airflow_provider_aiopt.operators.base import ShardOperator


class InferenceOperator(ShardOperator):
    """Runs the model on prepared tensors.

    :param spec: see :class:`~airflow_provider_aiopt.operators.base.SpecOperator`
    :param workspace: see there
    :param shard: see :class:`~airflow_provider_aiopt.operators.base.ShardOperator`
    """

    stage = "inference"
