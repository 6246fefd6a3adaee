"""Ingestion as an Airflow operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_aiopt.operators.base import StageOperator, check_shards

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_aiopt.runner.context import RunContext


class IngestOperator(StageOperator):
    """Reads the source's records into shards.

    The result is a list of shard references to hand, or to map, to :class:`PreprocessOperator`.

    :param spec: see :class:`~airflow_provider_aiopt.operators.base.SpecOperator`
    :param workspace: see there
    """

    stage = "ingest"

    def execute(self, context: Context) -> list[str]:
        """Run the stage.

        :returns: references to the shards
        """
        return [str(ref) for ref in self._run_stage(context, ()).refs]

    def _run_context(self, context: Context) -> RunContext:
        return check_shards(super()._run_context(context))
