"""Photographs of a remote storage, streamed shard by shard by mapped tasks."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_aiopt import PipelineOperator, PlanOperator

SPEC = {
    "name": "photographs",
    "source": {"uri": "{{ params.source }}", "pattern": ["*.jpg"]},
    "model": {"uri": "builtin:efficientnet-lite0-int8", "device": "cpu"},
    "execution": {"shards": "{{ params.shards }}"},
}

with DAG(
    "photographs",
    schedule=None,
    catchup=False,
    params={
        "source": Param("", type="string"),
        "shards": Param(1, type="integer", minimum=1),
    },
):
    plan = PlanOperator(task_id="plan", spec=SPEC)
    PipelineOperator.partial(task_id="pipeline", spec=SPEC, pool="records").expand(shard=plan.output)
