"""What follows from a comparison, as an Airflow operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.standard.operators.branch import BaseBranchOperator

from airflow_provider_aiopt.airflow.failures import no_vain_retries
from airflow_provider_aiopt.links.stage_timings import StageTimingsLink

if TYPE_CHECKING:
    from airflow.sdk import Context

WINNER_KEY = "winner"
"""XCom key under which the task leaves the name of the pipeline to go on with."""


class DecideOperator(BaseBranchOperator):
    """Chooses the pipeline to go on with, publishes it, and goes on with the tasks that its verdict names.

    A variant wins only where it is better: what is equivalent is no reason to change.

    :param comparison: the output of a :class:`~airflow_provider_aiopt.operators.compare.CompareOperator`
        (templated)
    :param follow: the tasks to go on with, by verdict: ``better``, ``equivalent``, ``worse``,
        ``inconclusive``; other tasks directly after this one are skipped, all where the verdict is not named
    :param variants: as for the ``PlanRoundsOperator``; the winner's settings are published with its name
        (templated)
    :param publish: file or URL that the winner is written to, as JSON (templated); none by default.  It is
        left as it is where the verdict is ``inconclusive``
    """

    template_fields: Sequence[str] = ("comparison", "variants", "publish")
    template_fields_renderers: ClassVar[dict[str, str]] = {"comparison": "json"}
    operator_extra_links = (StageTimingsLink(),)
    ui_color = "#e6f4ea"

    def __init__(
        self,
        *,
        comparison: Any,
        follow: Mapping[str, str | Sequence[str]],
        variants: Mapping[str, Mapping[str, Any]] | str | None = None,
        publish: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.comparison = comparison
        self.follow = follow
        self.variants = variants
        self.publish = publish

    def choose_branch(self, context: Context) -> str | list[str] | None:
        """Publish the winner.

        :returns: the tasks to go on with
        """
        from airflow_provider_aiopt.airflow.filesystems import resolve_with_connection
        from airflow_provider_aiopt.compare.deciding import check_follow, decide, publish

        with no_vain_retries():
            check_follow(self.follow)
            decision = decide(self.comparison, self.variants)
            self.log.info("%s: go on with %s", decision.verdict, decision.winner)
            if self.publish and decision.verdict != "inconclusive":
                publish(decision, self.publish, resolver=resolve_with_connection)
        context["ti"].xcom_push(key=WINNER_KEY, value=decision.winner)
        tasks = self.follow.get(decision.verdict)
        return list(tasks) if tasks is not None and not isinstance(tasks, str) else tasks
