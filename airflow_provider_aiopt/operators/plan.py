"""Listing a source for mapped tasks, as an Airflow operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_aiopt.airflow.context import push_report
from airflow_provider_aiopt.operators.base import SpecOperator, check_shards

if TYPE_CHECKING:
    from airflow.sdk import Context


class PlanOperator(SpecOperator):
    """Lists the source and cuts it into shards, without reading it.

    The result is a list of shard references for :class:`PipelineOperator`, mapped or not::

        plan = PlanOperator(task_id="plan", spec=spec)
        PipelineOperator.partial(task_id="pipeline", spec=spec).expand(shard=plan.output)

    :param spec: see :class:`~airflow_provider_aiopt.operators.base.SpecOperator`
    :param workspace: see there
    """

    def execute(self, context: Context) -> list[str]:
        """List the source.

        :returns: references to the shards
        """
        from airflow_provider_aiopt.runner.planning import plan_run

        with self._running():
            outcome = plan_run(check_shards(self._run_context(context)))
        push_report(context, outcome.report)
        return [str(ref) for ref in outcome.refs]
