"""A device that waits for the host."""

from __future__ import annotations

from airflow_provider_aiopt.advisor.facts import Facts
from airflow_provider_aiopt.advisor.models import Change
from airflow_provider_aiopt.advisor.rules.base import DENNING, Finding, Rule
from airflow_provider_aiopt.telemetry.units import share

_FED = 0.9  # MLPerf Storage calls an accelerator fed from here on


def _starving(facts: Facts) -> Finding | None:
    stage, workers = facts.stage("inference"), facts.number("execution.workers")
    busy = stage.detail("device_busy") if stage else None
    if stage is None or not isinstance(busy, float) or busy >= _FED:
        return None
    prepare = facts.stage("preprocess")
    used = prepare.own_cores if prepare else 0.0
    if workers is not None and workers < facts.cores:
        change = Change(scope="spec", key="execution.workers", value=facts.cores, before=workers)
        possible = 1 - workers / facts.cores
    elif facts.setting("preprocess.kind") == "image":
        change = Change(scope="spec", key="preprocess.scaled_decode", value=True)
        possible = 0.5
    else:
        return None
    span = facts.elapsed_s if facts.streamed else stage.summary.duration_s
    return Finding(
        title=f"The device was busy {share(busy)} of the time and waited for the host in the rest",
        evidence=(f"preprocessing used {used:.1f} of {facts.cores} cores",),
        changes=(change,),
        saved_s=span * min(1 - busy, possible),
    )


RULES = (
    Rule(
        name="device.starving",
        family="device",
        finds="a GPU that waits for prepared records",
        changes="`execution.workers`; for images `preprocess.scaled_decode`",
        formula="saved = span x min(1 - busy share, 1 - workers / cores)",
        assumptions="preprocessing spreads over the cores; a scaled decode takes half the time",
        reason=f"utilisation law: {DENNING}; MLPerf Storage's limit of 90 %",
        look=_starving,
    ),
)
