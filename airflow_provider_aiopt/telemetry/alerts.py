"""What people are told about stages that went over their limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_aiopt.telemetry.thresholds import Breach


@dataclass(frozen=True, slots=True)
class StageAlert:
    """One message about one run, or about one task of it.

    :param dag_id: DAG id
    :param run_id: DAG run id
    :param breaches: what went over its limit, at least one
    :param link: where the run's timings are shown
    :param task: the task that the alert is about, with the index where it is mapped; None for the whole run
    """

    dag_id: str
    run_id: str
    breaches: Sequence[Breach]
    link: str
    task: str | None = None

    @property
    def subject(self) -> str:
        """One line, such as ``photos: inference took 12.3 s; its limit is 5.00 s``."""
        others = len(self.breaches) - 1
        more = f" (and {others} more)" if others else ""
        return f"{self.dag_id}: {self.breaches[0]}{more}"

    @property
    def text(self) -> str:
        """Some lines of plain text: what, where and what to look at."""
        task = f", task {self.task}" if self.task else ""
        lines = [f"DAG {self.dag_id}, run {self.run_id}{task}:"]
        lines += [f"- {breach}. {breach.advice}." for breach in self.breaches]
        return "\n".join([*lines, f"Stage timings: {self.link}"])

    def __str__(self) -> str:
        """Return :attr:`text`."""
        return self.text
