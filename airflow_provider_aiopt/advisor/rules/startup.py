"""Starting tasks, loading models, committing shards: what is paid once for each piece."""

from __future__ import annotations

import math

from airflow_provider_aiopt.advisor.facts import Facts, StageFacts
from airflow_provider_aiopt.advisor.models import Change
from airflow_provider_aiopt.advisor.rules.base import AMDAHL, Finding, Rule
from airflow_provider_aiopt.telemetry.reports import STAGES
from airflow_provider_aiopt.telemetry.units import duration, share

_COMMIT_SHARE = 0.01  # of a shard's time that committing it may take
_COLD_S = 1.0


def _tasks(facts: Facts) -> Finding | None:
    mapped = [stage for stage in facts.stages.values() if stage.summary.tasks > 1 and not stage.streamed]
    shards = facts.number("execution.shards")
    if not mapped or shards is None:
        return None
    fewer = max(1, min(facts.cores, round(max(map(facts.slots_of, mapped)))))
    if fewer >= shards:
        return None
    saved = fixed = loads = 0.0
    for stage in mapped:
        each, idle = _fixed_s(facts, stage) / stage.summary.tasks, facts.idle_s(stage)
        # So few tasks all begin at once: no slot waits for the next one.
        saved += ((stage.summary.tasks - fewer) * each + idle) / facts.slots_of(stage)
        fixed += each * stage.summary.tasks + idle
        loads += stage.summary.model_load_s
    tasks = sum(stage.summary.tasks for stage in mapped)
    return Finding(
        title=f"{tasks} tasks of {shards} shards spent {duration(fixed)} on starting, "
        f"{share(saved / facts.elapsed_s)} of the run",
        evidence=(
            f"{duration(fixed / tasks)} to start each task and to get its stage ready",
            f"{duration(loads)} of loading the model, once in each inference task",
            f"{max(map(facts.slots_of, mapped)):.1f} ran at once on {facts.cores} cores",
        ),
        changes=(Change(scope="spec", key="execution.shards", value=fewer, before=shards),),
        saved_s=saved,
    )


def _fixed_s(facts: Facts, stage: StageFacts) -> float:
    """Return what the tasks of a stage spent however little they worked on."""
    starting = sum(span.start_up_s for span in facts.spans_of(stage))
    return starting + max(stage.setup_s, stage.summary.model_load_s) + stage.commit_s


def _commits(facts: Facts) -> Finding | None:
    shards = facts.number("execution.shards")
    stages = [stage for stage in facts.stages.values() if stage.commits > 1 and stage.summary.tasks == 1]
    if shards is None or shards < 2 or not stages:  # noqa: PLR2004 - one shard cannot become fewer
        return None
    waited = sum(map(_for_shards_s, stages))
    commits = sum(stage.commits for stage in stages)
    each = waited / shards  # of all stages' commits of one shard
    if not each:
        return None
    fewer = max(1, min(shards, math.floor(_COMMIT_SHARE * max(0.0, facts.elapsed_s - waited) / each)))
    return Finding(
        title=f"{shards} shards: committing them took {share(waited / facts.elapsed_s)} of the run",
        evidence=(
            f"{commits} commits of {duration(sum(stage.commit_s for stage in stages) / commits)} each",
            f"{facts.report.records_in / shards:.1f} records to a shard",
        ),
        changes=(Change(scope="spec", key="execution.shards", value=fewer, before=shards),),
        saved_s=waited * (1 - fewer / shards),
    )


def _for_shards_s(stage: StageFacts) -> float:
    """Return what a stage spent on shards as such: committing each, and looking at each beforehand.

    Commits go on beside the work, but hold the interpreter for much of it: what they take is hidden only
    where the calls of the model and the transform, which do not, take longer.
    """
    if stage.streamed:
        return min(stage.commit_s, stage.summary.wait_output_s)
    least = stage.setup_s + stage.call_s / stage.at_once + stage.write_s
    commits = max(0.0, min(stage.commit_s, stage.elapsed_s - least))
    if stage.name == STAGES[0]:  # its getting ready is imports and the listing
        return commits
    return commits + max(0.0, stage.setup_s - stage.summary.model_load_s)


def _one_task(facts: Facts) -> Finding | None:
    own = [facts.stages[name] for name in STAGES if name in facts.stages]
    if facts.streamed or len(own) < len(STAGES) or not facts.spans:
        return None
    if any(stage.summary.tasks > 1 for stage in own):
        return None
    starts = sum(span.start_up_s for span in facts.spans[1:])
    between = facts.elapsed_s - sum(span.duration_s for span in facts.spans)
    first = facts.spans[0]
    saved = starts + max(0.0, between - (first.started - first.scheduled))
    return Finding(
        title=f"Hand-overs between {len(facts.spans)} tasks took {duration(saved)}",
        evidence=(
            f"{duration(starts)} to start the tasks after the first",
            f"{duration(max(0.0, saved - starts))} between a task's end and the next one's start",
        ),
        changes=(Change(scope="mode", key="mode", value="streaming", before="staged"),),
        saved_s=saved,
    )


def _cold_worker(facts: Facts) -> Finding | None:
    starts = [span.start_up_s for span in facts.spans]
    if len(starts) < 3:  # noqa: PLR2004 - a first one and some others
        return None
    usual = sorted(starts[1:])[len(starts[1:]) // 2]
    if starts[0] - usual < _COLD_S:
        return None
    return Finding(
        title=f"The first task took {duration(starts[0] - usual)} longer to start than the others",
        evidence=(f"{duration(starts[0])} for the first, {duration(usual)} for the median of the others",),
        changes=(Change(scope="airflow", key="[core] mp_start_method", value="fork"),),
        saved_s=starts[0] - usual,
    )


RULES = (
    Rule(
        name="startup.tasks",
        family="startup",
        finds="many small shards, each with tasks that start and a model that is loaded",
        changes="`execution.shards`",
        formula="saved = ((tasks - tasks at once) x (start + getting ready + commit) + empty slots) "
        "/ tasks at once, over the mapped stages",
        assumptions="as many tasks run at once as before; a record takes as long in a large "
        "shard as in a small one",
        reason=AMDAHL,
        look=_tasks,
    ),
    Rule(
        name="startup.commits",
        family="startup",
        finds="so many shards that committing them holds the stages up",
        changes="`execution.shards`",
        formula="saved = (commits that calls do not hide + getting ready without the model) "
        "x (1 - new shards / shards); as many shards as cost 1 % of the run",
        assumptions="a shard costs as much, whatever its size",
        reason=AMDAHL,
        look=_commits,
    ),
    Rule(
        name="startup.one-task",
        family="startup",
        finds="a run whose hand-overs from task to task are a large part of it",
        changes="streaming: `PipelineOperator` instead of four operators",
        formula="saved = starts of the tasks after the first + waits between the tasks",
        assumptions="the stages take as long side by side as one after the other",
        reason=AMDAHL,
        look=_one_task,
        kind="mode",
    ),
    Rule(
        name="startup.cold-worker",
        family="startup",
        finds="a worker that begins its first task cold",
        changes="`[core] mp_start_method`",
        formula="saved = start of the first task - median start of the others",
        assumptions="the LocalExecutor of Airflow 3.3 or newer; forked workers stand ready with "
        "Airflow imported",
        reason=AMDAHL,
        look=_cold_worker,
        kind="conditional",
    ),
)
