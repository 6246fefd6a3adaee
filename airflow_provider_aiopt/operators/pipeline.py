"""A whole pipeline as one Airflow operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.airflow.context import push_reports
from airflow_provider_aiopt.airflow.failures import no_vain_retries
from airflow_provider_aiopt.operators.base import SpecOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class PipelineOperator(SpecOperator):
    """Streams a pipeline through all four stages in one task, with nothing written between them.

    The lowest latency and the highest throughput on one machine; a retry goes on after the last finished
    shard.

    :param spec: see :class:`~airflow_provider_aiopt.operators.base.SpecOperator`
    :param workspace: see there
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the pipeline.

        :returns: ``results_uri``, the folder of the result files, and how many ``results`` they hold
        """
        from airflow_provider_aiopt.runner.streaming import run_streaming

        with no_vain_retries():
            reports = run_streaming(self._run_context(context))
        push_reports(context, reports)
        return {"results_uri": reports[-1].details["results_uri"], "results": reports[-1].items_out}
