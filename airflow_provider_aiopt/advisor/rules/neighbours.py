"""Others on the same cores."""

from __future__ import annotations

from airflow_provider_aiopt.advisor.facts import Facts, StageFacts
from airflow_provider_aiopt.advisor.models import Change
from airflow_provider_aiopt.advisor.rules.base import AMDAHL, USE, Finding, Rule
from airflow_provider_aiopt.telemetry.units import share

_LEAST = 0.15  # of the cores that others must have taken
_FULL = 0.85  # of the cores that must have been busy, or there was room for all
_THROTTLED = 0.05  # of the periods
_AT_WORK = ("preprocess", "inference", "postprocess")


def _crowded(facts: Facts) -> Finding | None:
    saved, evidence = 0.0, []
    for stage in filter(None, map(facts.stage, _AT_WORK)):
        own, others = _shares(facts, stage)
        if others < _LEAST * facts.cores or own + others < _FULL * facts.cores:
            continue
        alone = min(float(facts.cores), own + others, _wanted(facts, stage))
        if alone <= own:
            continue
        saved += stage.compute_s * (1 - own / alone)
        evidence.append(
            f"{stage.name}: {own:.1f} cores for the run, {others:.1f} for others, of {facts.cores}"
        )
    if not evidence:
        return None
    return Finding(
        title=f"Others on the machine slowed {share(saved / facts.elapsed_s)} of the run",
        evidence=tuple(evidence),
        changes=(Change(scope="host", key="exclusive_cores", value=facts.cores),),
        saved_s=saved,
    )


def _shares(facts: Facts, stage: StageFacts) -> tuple[float, float]:
    """Return the cores that the run and that others had while a stage worked."""
    if not facts.streamed:
        return stage.own_cores, stage.other_cores
    used = sum(item.cpu_s for item in facts.stages.values())
    return used / facts.elapsed_s if facts.elapsed_s else 0.0, stage.other_cores


def _wanted(facts: Facts, stage: StageFacts) -> float:
    """Return how many cores a stage could use."""
    workers = facts.number("execution.workers") or facts.cores
    return 1.0 if stage.name == "postprocess" and not facts.streamed else float(workers)


def _throttled(facts: Facts) -> Finding | None:
    stages = [stage for stage in facts.stages.values() if stage.throttled >= _THROTTLED]
    if not stages:
        return None
    workers = facts.number("execution.workers") or facts.cores
    saved = sum(
        stage.compute_s * max(0.0, 1 - stage.own_cores / min(workers, facts.cores)) for stage in stages
    )
    return Finding(
        title="The control group's CPU quota was used up",
        evidence=tuple(
            f"{stage.name}: in {share(stage.throttled)} of the periods, at {stage.own_cores:.1f} cores"
            for stage in stages
        ),
        changes=(Change(scope="host", key="cpu_quota", value=min(workers, facts.cores)),),
        saved_s=saved,
    )


RULES = (
    Rule(
        name="neighbours.crowded",
        family="neighbours",
        finds="other processes, or other virtual machines, on the run's cores",
        changes="cores of its own: another queue, host or `resources`",
        formula="saved = work x (1 - cores had / min(cores, cores had + cores of others, workers))",
        assumptions="the work is CPU time that spreads over the cores that the others leave",
        reason=f"{USE}: saturation; {AMDAHL}",
        look=_crowded,
    ),
    Rule(
        name="neighbours.throttled",
        family="neighbours",
        finds="a CPU quota that is used up before its period ends",
        changes="the limit of the container or pod",
        formula="saved = work x (1 - cores had / min(workers, cores))",
        assumptions="the work is CPU time that spreads over the cores",
        reason=f"{USE}: saturation; {AMDAHL}",
        look=_throttled,
    ),
)
