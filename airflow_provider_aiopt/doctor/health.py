"""What an Airflow's components say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

COMPONENTS = ("scheduler", "dag_processor", "triggerer")


@dataclass(frozen=True, slots=True)
class Component:
    """One of :data:`COMPONENTS`.

    :param status: Airflow's word for it, None where it never ran
    :param heartbeat: when it last said that it lives
    """

    status: str | None
    heartbeat: datetime | None

    @property
    def healthy(self) -> bool:
        """Whether it lives."""
        return self.status == "healthy"


@dataclass(frozen=True, slots=True)
class AirflowHealth:
    """What the API server answers at ``/api/v2/monitor/health``.

    :param url: the API server's address
    :param database: status of the metadata database
    :param components: the components by name
    :param answered_at: the API server's clock, in seconds since 1970; None where it does not tell
    :param answer_s: how long the answer took, in seconds
    :param asked_at: this machine's clock half-way through, in seconds since 1970
    """

    url: str
    database: str | None
    components: Mapping[str, Component]
    answered_at: float | None
    answer_s: float
    asked_at: float


def read_components(answer: Mapping[str, Any]) -> tuple[str | None, dict[str, Component]]:
    """Return the database's status and the components of an answer.

    :raises KeyError: if the answer has another form
    :raises ValueError: if a heartbeat is no time
    """
    components = {}
    for name in COMPONENTS:
        item = answer.get(name) or {}
        heartbeat = item.get(f"latest_{name}_heartbeat")
        components[name] = Component(item.get("status"), heartbeat and datetime.fromisoformat(heartbeat))
    return answer["metadatabase"]["status"], components
