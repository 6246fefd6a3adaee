"""Where a pod's time went before, while and after its stage ran."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from airflow_provider_aiopt.kubernetes.status import Json, PodFacts
from airflow_provider_aiopt.telemetry.reports import StageReport

_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"([0-9.]+)(h|ms|us|µs|ns|m|s)")
_PULLED_IN = re.compile(r"^Successfully pulled image .* in ([0-9a-zµ.]+)")

Seconds = float | None


class PodTimings(BaseModel):
    """A pod's time, in seconds; None where the pod did not get so far or nobody noted it.

    Kubernetes notes times in whole seconds, so *schedule_s*, *start_s* and *boot_s* are right to one second;
    *pull_s*, *load_s* and *run_s* are exact.

    :param created_at: when the API server took it
    :param schedule_s: until a node was found, in a queue, for one to be made or to become free
    :param pull_s: pulling images there, 0 where the node had them
    :param start_s: the rest until the container ran: volumes, network, sandbox
    :param boot_s: until the stage began: the interpreter, its modules, the spec
    :param load_s: loading the model, a part of *run_s*
    :param run_s: from the first stage's beginning to the last one's end
    :param total_s: from its creation to the container's end
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    created_at: AwareDatetime | None = None
    schedule_s: Seconds = Field(default=None, ge=0)
    pull_s: Seconds = Field(default=None, ge=0)
    start_s: Seconds = Field(default=None, ge=0)
    boot_s: Seconds = Field(default=None, ge=0)
    load_s: Seconds = Field(default=None, ge=0)
    run_s: Seconds = Field(default=None, ge=0)
    total_s: Seconds = Field(default=None, ge=0)

    def seconds(self) -> dict[str, float]:
        """Return what is known, by name and without the ``_s``, rounded to milliseconds."""
        values: dict[str, Any] = self.model_dump(exclude_none=True, exclude={"created_at"})
        return {name.removesuffix("_s"): round(value, 3) for name, value in values.items()}


def pod_timings(facts: PodFacts, reports: Sequence[StageReport] = ()) -> PodTimings:
    """Split a pod's time.

    :param facts: the pod when it ended, or as it is now
    :param reports: the reports of the stages that ran in it
    """
    metadata: Json = (facts.pod or {}).get("metadata") or {}
    created = _time(metadata.get("creationTimestamp"))
    condition = facts.condition("PodScheduled")
    scheduled = _time(condition.get("lastTransitionTime")) if condition.get("status") == "True" else None
    ran = facts.state("terminated") or facts.state("running")
    started, finished = _time(ran.get("startedAt")), _time(ran.get("finishedAt"))
    pull = _pull_s(facts)
    began = min((report.started_at for report in reports), default=None)
    ended = max((report.ended_at for report in reports), default=None)
    placed = _between(scheduled, started)
    return PodTimings(
        created_at=created,
        schedule_s=_between(created, scheduled),
        pull_s=pull,
        start_s=None if placed is None else max(0.0, placed - (pull or 0.0)),
        boot_s=_between(started, began),
        load_s=sum(report.model_load_s for report in reports) if reports else None,
        run_s=_between(began, ended),
        total_s=_between(created, finished),
    )


def _pull_s(facts: PodFacts) -> float | None:
    """Return the time of all pulls; kubelets pull one image after the other unless told otherwise."""
    pulls = list(_pulls(facts.events))
    return sum(pulls) if pulls else None


def _pulls(events: Sequence[Json]) -> Iterator[float]:
    for event in events:
        if event.get("reason") != "Pulled":
            continue
        said = _PULLED_IN.match(event.get("message") or "")
        yield _duration_s(said[1]) if said else 0.0  # else it was "already present on machine"


def _duration_s(text: str) -> float:
    """Read a duration as Go writes it, such as ``1m2.5s``."""
    return sum(float(amount) * _UNITS_S[unit] for amount, unit in _DURATION.findall(text))


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _between(first: datetime | None, last: datetime | None) -> float | None:
    if first is None or last is None:
        return None
    return max(0.0, (last - first).total_seconds())
