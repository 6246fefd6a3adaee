"""One run of a comparison, as an Airflow operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_aiopt.airflow.context import push_reports
from airflow_provider_aiopt.operators.base import SpecOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_aiopt.runner.context import RunContext


class VariantOperator(SpecOperator):
    """Runs a whole pipeline, or a variant of it, as one of the turns of a comparison.

    Map it over the turns of a :class:`~airflow_provider_aiopt.operators.plan_rounds.PlanRoundsOperator` with
    ``max_active_tis_per_dagrun=1``, so that they come one after the other::

        VariantOperator.partial(
            task_id="run", spec=spec, variants=variants, max_active_tis_per_dagrun=1
        ).expand(turn=plan.output)

    The results stay below the workspace, in ``VARIANT/round-NNN``, whatever the spec's sink.  A retry does
    the whole run again: half of one would tell nothing.

    :param turn: the run, such as ``"baseline/round-001"`` (templated)
    :param variants: as for the ``PlanRoundsOperator`` (templated)
    :param mode: how those are run that do not say it: ``staged`` or ``streaming``
    :param spec: the baseline; see :class:`~airflow_provider_aiopt.operators.base.SpecOperator`
    :param workspace: see there
    """

    template_fields: Sequence[str] = ("spec", "workspace", "variants", "turn")

    def __init__(
        self,
        *,
        turn: str,
        variants: Mapping[str, Mapping[str, Any]] | str,
        mode: Literal["staged", "streaming"] = "staged",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.turn = turn
        self.variants = variants
        self.mode = mode

    def execute(self, context: Context) -> str:
        """Run it.

        :returns: the turn
        """
        from airflow_provider_aiopt.compare.running import clear_stages, forget
        from airflow_provider_aiopt.runner.staged import run_pipeline
        from airflow_provider_aiopt.runner.streaming import run_streaming

        with self._running():
            run, mode = self._turn_context(context)
            forget(run.workspace.root)
            reports = run_streaming(run) if mode == "streaming" else run_pipeline(run)
            clear_stages(run.workspace.root)
        push_reports(context, reports)
        return self.turn

    def _turn_context(self, context: Context) -> tuple[RunContext, str]:
        """Return what the turn runs with, in a workspace of its own, and in which mode."""
        from airflow_provider_aiopt.compare.running import without_sink
        from airflow_provider_aiopt.compare.variants import read_overrides, variant_of
        from airflow_provider_aiopt.data.workspace import Workspace

        run = self._run_context(context)
        variant, number = variant_of(self.turn, run.spec, read_overrides(self.variants), self.mode)
        workspace = Workspace(run.workspace.root.child(variant.name).child(number))
        return replace(run, spec=without_sink(variant.spec), workspace=workspace), variant.mode
