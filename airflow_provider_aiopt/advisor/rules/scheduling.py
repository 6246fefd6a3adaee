"""Waits until the scheduler finds the next task runnable."""

from __future__ import annotations

from airflow_provider_aiopt.advisor.facts import Facts
from airflow_provider_aiopt.advisor.models import Change
from airflow_provider_aiopt.advisor.rules.base import Finding, Rule
from airflow_provider_aiopt.telemetry.units import duration, share

_IDLE_SLEEP_S = 0.05
_LOOP_S = 0.05  # one loop of the scheduler over a few active runs; 0.04 s with sleeps of 0.1 s
_USUAL_S = 0.6  # at Airflow's default of one second a task waits for half of it, and for a loop or two


def _idle_sleep(facts: Facts) -> Finding | None:
    gaps = facts.scheduling_gaps
    waited = sum(gaps)
    if not gaps or waited / len(gaps) < _USUAL_S:
        return None
    after = len(gaps) * (_IDLE_SLEEP_S / 2 + _LOOP_S)
    return Finding(
        title=f"The scheduler took {duration(waited)} to notice that stages had ended, "
        f"{share(waited / facts.elapsed_s)} of the run",
        evidence=(
            f"{len(gaps)} hand-overs between stages, {duration(waited / len(gaps))} from end to scheduling",
        ),
        changes=(Change(scope="airflow", key="[scheduler] scheduler_idle_sleep_time", value=_IDLE_SLEEP_S),),
        saved_s=waited - after,
    )


RULES = (
    Rule(
        name="scheduling.idle-sleep",
        family="scheduling",
        finds="the scheduler sleeps while the next stage's tasks could start",
        changes="`[scheduler] scheduler_idle_sleep_time`",
        formula="saved = sum of gaps - hand-overs x (new sleep / 2 + one loop)",
        assumptions="the scheduler is otherwise idle; what becomes ready during a sleep waits "
        "for half of it on "
        f"average; a loop takes {_LOOP_S:g} s",
        reason="residual waiting time of a periodic poll: Kleinrock, Queueing Systems I, 1975",
        look=_idle_sleep,
    ),
)
