"""Reading a pod's status and events, in the plain values of Kubernetes' JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_aiopt.kubernetes.manifest import CONTAINER

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What is known of a pod, when it failed or ended.

    :param namespace: its namespace
    :param name: its name
    :param pod: the pod as the API server last had it; None where it is gone
    :param events: its events, oldest first; none where they may not be read
    :param nodes: the cluster's nodes; None where they may not be read
    """

    namespace: str
    name: str
    pod: Json | None = None
    events: Sequence[Json] = ()
    nodes: Sequence[Json] | None = None

    def __str__(self) -> str:
        """Return how messages name the pod."""
        return f"Pod {self.namespace}/{self.name}"

    @property
    def spec(self) -> Json:
        """Its specification, empty where it is gone."""
        found: Json = (self.pod or {}).get("spec") or {}
        return found

    @property
    def status(self) -> Json:
        """Its status, empty where it is gone or has none yet."""
        found: Json = (self.pod or {}).get("status") or {}
        return found

    def condition(self, kind: str) -> Json:
        """Return the condition of this type, an empty one where it has none."""
        return next((item for item in self.status.get("conditions") or () if item.get("type") == kind), {})

    def state(self, kind: str) -> Json:
        """Return a state of the stage's container: ``waiting``, ``running`` or ``terminated``."""
        found: Json = (self.container.get("state") or {}).get(kind) or {}
        return found

    @property
    def container(self) -> Json:
        """The status of the stage's container, empty where it has none yet."""
        return _named(self.status.get("containerStatuses"))

    @property
    def limits(self) -> Json:
        """The limits of the stage's container."""
        found: Json = (_named(self.spec.get("containers")).get("resources") or {}).get("limits") or {}
        return found

    def waiting(self) -> Iterator[tuple[str, Json]]:
        """Yield the containers that wait, by name, those that come first first."""
        for key in ("initContainerStatuses", "containerStatuses"):
            for item in self.status.get(key) or ():
                if waiting := (item.get("state") or {}).get("waiting"):
                    yield item["name"], waiting

    def events_of(self, *reasons: str) -> Iterator[Json]:
        """Yield the events with one of these reasons, the newest first."""
        return (event for event in reversed(self.events) if event.get("reason") in reasons)

    def last_warning(self) -> str:
        """Return the newest warning among the events, empty where there is none."""
        warnings = (event for event in reversed(self.events) if event.get("type") == "Warning")
        return next((f"{event.get('reason')}: {event.get('message')}" for event in warnings), "")


def _named(items: Sequence[Json] | None) -> Json:
    return next((item for item in items or () if item.get("name") == CONTAINER), {})
