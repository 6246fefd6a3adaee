"""A whole pipeline as one Airflow operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.airflow.context import advise_on_stream, push_reports
from airflow_provider_aiopt.airflow.run_report import push_run_report
from airflow_provider_aiopt.airflow.taking import take_uploads
from airflow_provider_aiopt.operators.base import ProfiledOperator, parse_refs, reporting_before

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from airflow_provider_aiopt.runner.context import RunContext


class PipelineOperator(ProfiledOperator):
    """Streams a pipeline through all four stages in one task, with nothing written between them.

    The lowest latency and the highest throughput on one machine; a retry goes on after the last finished
    shard.  Over several machines, map it over the shards of a
    :class:`~airflow_provider_aiopt.operators.plan.PlanOperator`.

    :param spec: see :class:`~airflow_provider_aiopt.operators.base.SpecOperator`
    :param workspace: see there
    :param shard: the output of a ``PlanOperator``: one reference such as ``"ingest/00000"`` when mapped with
        ``.expand(shard=...)``, else all of them (templated).  Default: the task lists the source itself
    :param uploads: where the pipeline's source is what started the run: the ``watch`` of a
        :class:`~airflow_provider_aiopt.operators.take_uploads.TakeUploadsOperator`, whose work the task then
        does first.  The spec's source has the same URI and no ``manifest``
    :param messages: as there
    :param profile: see :class:`~airflow_provider_aiopt.operators.base.ProfiledOperator`, as for
        ``profile_stage`` and ``profile_functions``; all stages of the stream are profiled together
    """

    template_fields: Sequence[str] = (*ProfiledOperator.template_fields, "shard")

    def __init__(
        self,
        *,
        shard: str | Sequence[str] | XComArg | None = None,
        uploads: Mapping[str, Any] | None = None,
        messages: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shard = shard
        self.uploads = uploads
        self.messages = messages

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the pipeline.

        :returns: ``results_uri``, the folder of the result files, and how many ``results`` they hold of this
            task's shards
        """
        from airflow_provider_aiopt.runner.streaming import run_streaming

        with self._running():
            refs = None if self.shard is None else parse_refs(self.shard)
            run = self._run_context(context) if self.uploads is None else self._take(context, self.uploads)
            reports = run_streaming(run, refs)
        told = advise_on_stream(reports)
        push_reports(context, told)
        push_run_report(context, reporting_before(self), told)
        return {"results_uri": reports[-1].details["results_uri"], "results": reports[-1].items_out}

    def _take(self, context: Context, watch: Mapping[str, Any]) -> RunContext:
        """Claim the run's uploads, and make them the pipeline's source.

        :raises SpecError: if the source is named otherwise, too; nothing is claimed then
        """
        from airflow_provider_aiopt.exceptions import SpecError
        from airflow_provider_aiopt.spec.loading import load_spec

        run = self._run_context(context)
        if self.shard is not None or run.spec.source.manifest is not None:
            raise SpecError(
                f"Task {self.task_id} has uploads as its source, and a shard or source.manifest as well: "
                "remove one. Over several tasks, use a TakeUploadsOperator"
            )
        manifest = take_uploads(context, watch, self.messages, self.workspace)
        return replace(run, spec=load_spec(run.spec, overrides={"source.manifest": manifest}))
