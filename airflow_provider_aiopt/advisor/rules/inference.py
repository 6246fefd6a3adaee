"""Calls of the model."""

from __future__ import annotations

from airflow_provider_aiopt.advisor.facts import Facts, StageFacts
from airflow_provider_aiopt.advisor.laws import least_elapsed_s
from airflow_provider_aiopt.advisor.models import Change
from airflow_provider_aiopt.advisor.rules.base import AMDAHL, DENNING, Finding, Rule
from airflow_provider_aiopt.telemetry.units import duration, share

_SMALL_BATCH = 8  # the default: what is left of the batches' cost there is little
_LARGE_BATCH = 16
_LARGEST_BATCH = 64
_WORTH_SHARE = 0.02  # of the run that what is left of the batches' cost may be
_EFFICIENCY = 0.95  # of cores that each have one thread
_HALVED = 0.5
_SWITCH_S = 6e-6
"""CPU time of one context switch with its futex call and the caches that it spoils.

Li, Ding and Shen, "Quantifying the Cost of Context Switch", 2007, measured 3.8 µs without the caches.  Calls
of EfficientNet-Lite0 with 64 threads on two cores took 5.8 and 6.5 µs more for each switch than with one.
"""
_MOST_SWITCHING = 0.8  # of the CPU time: the rest is believed to be work
_CALL_S = 100e-6  # of a call that is the call itself, beside others that want the interpreter
_RECORD_S = 4e-6
"""What a record costs a stage at the least, however large its batch.

30,000 rows of eight numbers in batches of 64 took 0.27 ms a batch and stage more than single rows did.
"""
_MANY = 100  # batches of a file from which on closing it is to write down where each of them lies


def _batch_cost_s(facts: Facts, stage: StageFacts) -> float:
    """Return what a stage spent on handing batches on: no reading, no transform and no model."""
    if stage.name == "ingest":
        work = stage.read_s / (facts.number("source.readers") or 1)
    else:
        work = stage.call_s / stage.at_once - _CALL_S * stage.calls
    work = max(work, stage.worked_on * _RECORD_S / stage.concurrency)
    if facts.streamed:
        return max(0.0, stage.elapsed_s - work - stage.summary.model_load_s)
    many = stage.batches > _MANY * stage.commits
    commits = 0.0 if many else min(stage.commit_s, stage.summary.wait_output_s)
    return max(0.0, stage.elapsed_s - stage.setup_s - commits - work)


def _batch_size(facts: Facts) -> Finding | None:
    stage, size = facts.stage("inference"), facts.number("execution.batch_size")
    if stage is None or size is None or size >= _SMALL_BATCH or stage.batches < _LARGE_BATCH:
        return None
    cost = sum(_batch_cost_s(facts, item) for item in facts.stages.values())
    larger = _LARGE_BATCH
    while larger < _LARGEST_BATCH and cost * size / larger > _WORTH_SHARE * (facts.elapsed_s - cost):
        larger *= 2
    return Finding(
        title=f"Handing on batches of {size} took {share(min(1.0, cost / facts.elapsed_s))} of the run",
        evidence=(
            f"{stage.batches} batches in each stage, {duration(cost / stage.batches)} each beside their work",
            f"{duration(stage.call_s / max(1, stage.calls))} for a call of the model",
        ),
        changes=(Change(scope="spec", key="execution.batch_size", value=larger, before=size),),
        saved_s=cost * (1 - size / larger),
    )


def _threads(facts: Facts) -> Finding | None:
    stage, threads = facts.stage("inference"), facts.number("model.threads")
    if stage is None or threads is None or stage.detail("device_busy") is not None:
        return None
    asked = threads * (stage.lanes if facts.streamed else 1)
    if asked <= facts.cores:
        return None
    switching = min(stage.switches * _SWITCH_S, _MOST_SWITCHING * stage.process_cpu_s)
    after = least_elapsed_s(stage.process_cpu_s - switching, facts.cores * _EFFICIENCY) / stage.concurrency
    if facts.streamed:
        after *= stage.elapsed_s / sum(item.elapsed_s for item in facts.stages.values())
    return Finding(
        title=f"Calls of {threads} threads on {facts.cores} cores: {asked} threads wanted them",
        evidence=(
            f"{duration(stage.compute_s)} of inference, {duration(stage.process_cpu_s)} of CPU time",
            f"{stage.switches} context switches, {stage.switches // max(1, stage.calls)} a call",
        ),
        changes=(Change(scope="spec", key="model.threads", value=1, before=threads),),
        saved_s=stage.compute_s - after,
    )


def _device_batch(facts: Facts) -> Finding | None:
    stage, size = facts.stage("inference"), facts.number("execution.batch_size")
    if stage is None or size is None or size >= _LARGE_BATCH or stage.detail("device_busy") is None:
        return None
    larger = 32
    return Finding(
        title=f"Calls of {size} records leave most of a device idle",
        evidence=(f"{stage.calls} calls of {duration(stage.call_s / max(1, stage.calls))}",),
        changes=(Change(scope="spec", key="execution.batch_size", value=larger, before=size),),
        saved_s=stage.call_s / stage.lanes * (1 - size / larger),
    )


def _precision(facts: Facts) -> Finding | None:
    stage = facts.stage("inference")
    if stage is None or stage.detail("device_busy") is None or facts.setting("model.runtime") != "torch":
        return None
    if facts.setting("model.torch.autocast") is not None:
        return None
    calls = stage.call_s / max(1, stage.lanes)
    return Finding(
        title=f"Calls in single precision took {share(min(1.0, calls / facts.elapsed_s))} of the run",
        evidence=(f"{stage.calls} calls, {duration(stage.call_s)} in all",),
        changes=(Change(scope="spec", key="model.torch.autocast", value="bfloat16"),),
        saved_s=calls * _HALVED,
    )


RULES = (
    Rule(
        name="inference.batch-size",
        family="inference",
        finds="batches so small that handing them on costs more than the work",
        changes="`execution.batch_size`",
        formula="saved = time beside getting ready, reading, commits, the transform, the model and 4 µs for "
        "each record x (1 - batch size / new batch size)",
        assumptions="that time is paid for each batch, whatever its size, as is 0.1 ms of a call; else a "
        "record takes the transform and the model as long in a large batch as in a small one",
        reason=AMDAHL,
        look=_batch_size,
    ),
    Rule(
        name="inference.threads",
        family="inference",
        finds="more threads than cores in the calls of the model",
        changes="`model.threads`",
        formula="inference = (CPU time - context switches x 6 µs) / cores / 0.95",
        assumptions="single-threaded calls side by side keep the cores busy; the computing "
        "itself takes the same",
        reason=f"{DENNING}; Li et al., Quantifying the Cost of Context Switch, 2007",
        look=_threads,
    ),
    Rule(
        name="inference.device-batch",
        family="inference",
        finds="small calls on a device",
        changes="`execution.batch_size`",
        formula="saved = calls x (1 - batch size / 32)",
        assumptions="the device takes 32 records in the time of the few; `batch_size: auto` measures it",
        reason=AMDAHL,
        look=_device_batch,
        kind="conditional",
    ),
    Rule(
        name="inference.precision",
        family="inference",
        finds="single precision on a device that has half",
        changes="`model.torch.autocast`",
        formula="saved = calls / 2",
        assumptions="half the bytes take half the time; the answers stay good enough: compare them first",
        reason="Williams et al., Roofline, 2009",
        look=_precision,
        kind="conditional",
    ),
)
