"""A whole pipeline as one Airflow operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.airflow.context import push_reports
from airflow_provider_aiopt.operators.base import SpecOperator, parse_refs

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg


class PipelineOperator(SpecOperator):
    """Streams a pipeline through all four stages in one task, with nothing written between them.

    The lowest latency and the highest throughput on one machine; a retry goes on after the last finished
    shard.  Over several machines, map it over the shards of a
    :class:`~airflow_provider_aiopt.operators.plan.PlanOperator`.

    :param spec: see :class:`~airflow_provider_aiopt.operators.base.SpecOperator`
    :param workspace: see there
    :param shard: the output of a ``PlanOperator``: one reference such as ``"ingest/00000"`` when mapped with
        ``.expand(shard=...)``, else all of them (templated).  Default: the task lists the source itself
    """

    template_fields: Sequence[str] = ("spec", "workspace", "shard")

    def __init__(self, *, shard: str | Sequence[str] | XComArg | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shard = shard

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the pipeline.

        :returns: ``results_uri``, the folder of the result files, and how many ``results`` they hold of this
            task's shards
        """
        from airflow_provider_aiopt.runner.streaming import run_streaming

        with self._running():
            refs = None if self.shard is None else parse_refs(self.shard)
            reports = run_streaming(self._run_context(context), refs)
        push_reports(context, reports)
        return {"results_uri": reports[-1].details["results_uri"], "results": reports[-1].items_out}
