"""The order of a comparison's runs, as an Airflow operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_aiopt.airflow.failures import no_vain_retries
from airflow_provider_aiopt.links.stage_timings import StageTimingsLink

if TYPE_CHECKING:
    from airflow.sdk import Context


class PlanRoundsOperator(BaseOperator):
    """Says in which order the runs of a comparison come, for a mapped ``VariantOperator``.

    In each round the spec and every variant have a turn, in an order that changes.

    :param variants: values by dotted key that replace those of the spec, by variant; a mapping or JSON
        (templated)
    :param rounds: how many rounds (templated)
    :param seed: of the orders
    """

    template_fields: Sequence[str] = ("variants", "rounds")
    operator_extra_links = (StageTimingsLink(),)
    ui_color = "#e6f4ea"

    def __init__(
        self,
        *,
        variants: Mapping[str, Mapping[str, Any]] | str,
        rounds: int | str,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.variants = variants
        self.rounds = rounds
        self.seed = seed

    def execute(self, context: Context) -> list[str]:  # noqa: ARG002 - Airflow's signature
        """Plan them.

        :returns: the turns, such as ``"baseline/round-001"``
        """
        from airflow_provider_aiopt.compare.variants import plan_turns, read_overrides

        with no_vain_retries():
            return plan_turns(list(read_overrides(self.variants)), int(self.rounds), seed=self.seed)
