"""The same pipeline for one worker and for all: what the Celery benchmark and the fault run trigger."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_provider_aiopt import PipelineOperator, PlanOperator

QUEUES = {"classify_on_one": "one", "classify_on_all": "default"}
RETRIES = 50
"""So that only what is lost ends a run: each fault costs an attempt."""

SPEC = {
    "name": "classify_photographs",
    "source": {"uri": "{{ params.source }}", "pattern": ["*.jpg", "*.png"]},
    "model": {"uri": "builtin:efficientnet-lite0-int8"},
    "execution": {"shards": "{{ params.shards }}"},
}

for dag_id, queue in QUEUES.items():
    with DAG(
        dag_id,
        schedule=None,
        catchup=False,
        default_args={"retries": RETRIES, "retry_delay": timedelta(seconds=1), "queue": queue},
        params={"source": Param("", type="string"), "shards": Param(8, type="integer", minimum=1)},
    ):
        plan = PlanOperator(task_id="plan", spec=SPEC)
        PipelineOperator.partial(task_id="pipeline", spec=SPEC).expand(shard=plan.output)
