"""Measuring one configuration: until it is known well enough, falls behind, breaks a limit or fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from airflow_provider_aiopt.tuning.child import Begin, Child, TooMuchMemoryError, TrialFailedError, Work
from airflow_provider_aiopt.tuning.measuring import (
    Measured,
    MeasuringPlan,
    Tick,
    WindowMeter,
    is_enough,
    summarise,
)
from airflow_provider_aiopt.tuning.models import Limits, Objective, Outcome

_FAR_PAST = 0.2
"""Part by which the latency limit must be passed before a trial is given up for it."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of measuring a configuration.

    :param outcome: what became of it
    :param reason: why it did not complete
    :param measured: what was measured, None for nothing
    :param windows: how many windows that is of
    :param peak_memory_bytes: largest resident memory of the process and its descendants
    :param start_s: from its start to its first results, in seconds
    :param seconds: all that it took
    """

    outcome: Outcome
    reason: str | None
    measured: Measured | None
    windows: int
    peak_memory_bytes: int
    start_s: float | None
    seconds: float


@dataclass(frozen=True)
class Measuring:
    """How configurations are measured.

    :param objective: what is made better
    :param limits: what may not be exceeded
    :param plan: how long
    :param stall_s: seconds without results after which a trial counts as hung
    :param now: a monotonic clock in seconds
    """

    objective: Objective
    limits: Limits
    plan: MeasuringPlan = field(default_factory=MeasuringPlan)
    stall_s: float = 60.0
    now: Callable[[], float] = time.monotonic

    def attempt(self, work: Work, should_prune: Callable[[int, float], bool]) -> Attempt:
        """Measure a configuration in a process of its own.

        :param work: what it runs
        :param should_prune: told the window's number, from 0, and what was found so far; whether to give up
        """
        began = self.now()
        meter = WindowMeter(self.plan)
        starts: list[float] = []
        outcome: Outcome = "failed"
        reason: str | None = None
        child = Child(work, stall_s=self.stall_s, memory_limit_bytes=self.limits.memory_bytes)
        try:
            with child:
                noted = self._noted(child.measure(), starts, began)
                outcome, reason = follow(
                    noted, meter, objective=self.objective, limits=self.limits, should_prune=should_prune
                )
        except TooMuchMemoryError as error:
            outcome, reason = "infeasible", str(error)
        except TrialFailedError as error:
            reason = str(error)
        return Attempt(
            outcome=outcome,
            reason=reason,
            measured=summarise(meter.windows) if meter.windows else None,
            windows=len(meter.windows),
            peak_memory_bytes=child.peak_memory_bytes,
            start_s=starts[0] if starts else None,
            seconds=self.now() - began,
        )

    def _noted(
        self, events: Iterable[Tick | Begin], starts: list[float], began: float
    ) -> Iterable[Tick | Begin]:
        for event in events:
            if not starts and isinstance(event, Tick):
                starts.append(self.now() - began)
            yield event


def follow(
    events: Iterable[Tick | Begin],
    meter: WindowMeter,
    *,
    objective: Objective,
    limits: Limits,
    should_prune: Callable[[int, float], bool],
) -> tuple[Outcome, str | None]:
    """Follow a run until enough is known.

    :param events: what happens in it
    :param meter: keeps the windows
    :param objective: what is made better
    :param limits: what may not be exceeded
    :param should_prune: told the window's number, from 0, and what was found so far; whether to give up
    :returns: what became of it, and why where it did not complete
    """
    for event in events:
        window = meter.begin(event.at) if isinstance(event, Begin) else meter.add(event)
        if window is None:
            continue
        found = summarise(meter.windows)
        count = len(meter.windows)
        if limits.latency_s is not None and found.p95_s is not None and count >= meter.plan.least:
            past = found.p95_s / limits.latency_s - 1
            if past > _FAR_PAST or (past > 0 and is_enough(meter.windows, meter.plan)):
                return "infeasible", _too_slow(found.p95_s, limits.latency_s)
        value = found.items_per_s if objective == "throughput" else found.p95_s
        if is_enough(meter.windows, meter.plan, latency=_needs_latency(objective, limits)):
            return "complete", None
        if value is not None and should_prune(count - 1, value):
            return "pruned", f"fell behind after {count} windows"
    return "failed", "the run ended before anything was measured"


def _needs_latency(objective: Objective, limits: Limits) -> bool:
    return objective == "latency" or limits.latency_s is not None


def _too_slow(found_s: float, limit_s: float) -> str:
    return (
        f"95 % of its batches take up to {found_s * 1000:.0f} ms, above the limit of {limit_s * 1000:.0f} ms"
    )
