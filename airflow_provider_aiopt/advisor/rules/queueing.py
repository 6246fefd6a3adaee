"""Waits for a slot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from airflow_provider_aiopt.advisor.facts import Facts, TaskSpan, most_at_once
from airflow_provider_aiopt.advisor.laws import makespan_s
from airflow_provider_aiopt.advisor.models import Change
from airflow_provider_aiopt.advisor.rules.base import DENNING, GRAHAM, Finding, Rule
from airflow_provider_aiopt.telemetry.units import duration, share

_DEFAULT_POOL = "default_pool"
_ACTIVE_RUNS = 16  # Airflow's own default
_LONG_S = 1.0  # shorter waits for a worker are the scheduler's ordinary turn


def _crowds(facts: Facts) -> Iterator[Sequence[TaskSpan]]:
    """Yield the mapped tasks of each operator of which some waited until others had ended."""
    for task_id in dict.fromkeys(span.times.task_id for span in facts.spans):
        tasks = [span for span in facts.spans if span.times.task_id == task_id]
        waits = [span.started - span.scheduled for span in tasks]
        if len(tasks) > most_at_once(tasks) and max(waits) > _LONG_S:
            yield tasks


def _slots(facts: Facts) -> Finding | None:
    saved = waited = 0.0
    pools: set[str | None] = set()
    wanted = slots = count = 0
    for tasks in _crowds(facts):
        now = most_at_once(tasks)
        each = sum(task.duration_s for task in tasks) / len(tasks)
        # What a task does beside its stages is starting: the interpreter's and the imports' work.
        demand = sum(task.cpu_s + task.start_up_s for task in tasks) / len(tasks)
        lasts = partial(makespan_s, len(tasks), each, demand, cores=facts.cores)
        more = min(range(now, len(tasks) + 1), key=lasts)
        span = max(task.ended for task in tasks) - min(task.started for task in tasks)
        saved += max(0.0, span - lasts(more))
        waited += sum(task.started - task.scheduled for task in tasks)
        pools |= {task.times.pool for task in tasks}
        wanted, slots, count = max(wanted, more), max(slots, now), max(count, len(tasks))
    if wanted <= slots:
        return None
    return Finding(
        title=f"Tasks waited for slots: of {count} that could run, {slots} ran at once",
        evidence=(
            f"{duration(waited)} of waits between scheduled and started, all tasks together",
            f"the processes left room for {wanted} at once on {facts.cores} cores",
            f"{share(min(1.0, saved / facts.elapsed_s))} of the run would be saved",
        ),
        changes=_more_slots(pools, wanted, slots),
        saved_s=saved,
    )


def _more_slots(pools: set[str | None], wanted: int, slots: int) -> tuple[Change, ...]:
    named = sorted(pool for pool in pools if pool and pool != _DEFAULT_POOL)
    if named:
        return tuple(Change(scope="pool", key=pool, value=wanted, before=slots) for pool in named)
    return (Change(scope="airflow", key="[core] parallelism", value=wanted, before=slots),)


def _active_runs(facts: Facts) -> Finding | None:
    waited = facts.report.queued_s
    if waited is None or waited < _LONG_S:
        return None
    return Finding(
        title=f"The run waited {duration(waited)} until the scheduler began it",
        evidence=(
            f"{share(waited / facts.elapsed_s)} of the time since it was created",
            f"{share(facts.used_share)} of the cores were in use while its stages worked",
        ),
        changes=(Change(scope="airflow", key="[aiopt] max_active_runs", value=_ACTIVE_RUNS),),
        saved_s=waited * (1 - facts.used_share),
    )


RULES = (
    Rule(
        name="queueing.active-runs",
        family="queueing",
        finds="a run that waits for other runs although cores are idle",
        changes="`[aiopt] max_active_runs`; the DAG's own",
        formula="saved = wait x (1 - share of the cores in use)",
        assumptions="the limit is lower now, and is what the run waited for; runs side by side "
        "use the cores that "
        "one leaves idle",
        reason=f"utilisation law: {DENNING}",
        look=_active_runs,
    ),
    Rule(
        name="queueing.slots",
        family="queueing",
        finds="tasks of one stage wait for each other although cores are idle",
        changes="the pool's slots; in the default pool `[core] parallelism`",
        formula="stage = ceil(tasks / slots) x (CPU time x max(1, slots / cores) + waits of a task)",
        assumptions="tasks are alike and begin with their CPU time; what one does beside its "
        "stages is CPU time",
        reason=f"{GRAHAM}; {DENNING}",
        look=_slots,
    ),
)
