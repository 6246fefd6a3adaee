"""Postprocessing as an Airflow operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.airflow.run_report import push_run_report
from airflow_provider_aiopt.operators.base import ShardOperator, parse_refs, reporting_before

if TYPE_CHECKING:
    from airflow.sdk import Context


class PostprocessOperator(ShardOperator):
    """Turns the model's outputs into results and writes them as Parquet.

    :param spec: see :class:`~airflow_provider_aiopt.operators.base.SpecOperator`
    :param workspace: see there
    :param shard: see :class:`~airflow_provider_aiopt.operators.base.ShardOperator`
    """

    stage = "postprocess"
    is_last = True

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the stage.

        :returns: ``results_uri``, the folder of the result files, and how many ``results`` they hold
        """
        report = self._run_stage(context, parse_refs(self.shard)).report
        push_run_report(context, reporting_before(self), [report])
        return {"results_uri": report.details["results_uri"], "results": report.items_out}
