"""Decoding and preparing records on the CPU."""

from __future__ import annotations

from airflow_provider_aiopt.advisor.facts import Facts, StageFacts
from airflow_provider_aiopt.advisor.models import Change
from airflow_provider_aiopt.advisor.rules.base import AMDAHL, DENNING, Finding, Rule
from airflow_provider_aiopt.telemetry.units import duration, share

_SHARED_FOLDER = "~/.cache/aiopt/prepared"
_HIT_S = 20e-6  # per record, with 1 GiB/s for the checksum over its bytes
_HIT_BYTES_PER_S = 1024**3
_CPU_BOUND = 0.5  # of the threads' time that must be CPU time for more cores to help
_IDLE = 0.3  # cores that must be left over
_ONE_CORE = 1.3  # threads that take turns at the interpreter use a core, and a little beside it
_START_S = 0.7  # until the processes have imported numpy, pyarrow and the transform
_PARALLEL = ("preprocess", "inference")


def _workers(facts: Facts) -> Finding | None:
    workers = facts.number("execution.workers")
    if workers is None or workers >= facts.cores:
        return None
    saved, evidence = 0.0, []
    for stage in filter(None, map(facts.stage, _PARALLEL)):
        idle = facts.cores - stage.own_cores - stage.other_cores
        if stage.own_cores < _CPU_BOUND * workers or idle < _IDLE or _on_device(stage):
            continue
        saved += stage.compute_s * (1 - workers / min(facts.cores, workers + idle))
        evidence.append(
            f"{stage.name}: {duration(stage.compute_s)} of work on {stage.own_cores:.1f} of "
            f"{facts.cores} cores, "
            f"{stage.other_cores:.1f} used by others"
        )
    if not evidence:
        return None
    return Finding(
        title=f"{workers} worker{'s' * (workers > 1)} left cores idle in "
        f"{share(saved / facts.elapsed_s)} of the run",
        evidence=tuple(evidence),
        changes=(Change(scope="spec", key="execution.workers", value=facts.cores, before=workers),),
        saved_s=saved,
    )


def _on_device(stage: StageFacts) -> bool:
    return stage.detail("device_busy") is not None


def _interpreter_lock(facts: Facts) -> Finding | None:
    stage, workers = facts.stage("preprocess"), facts.number("execution.workers")
    if stage is None or workers is None or min(workers, facts.cores) < 2:  # noqa: PLR2004 - no second core
        return None
    if facts.setting("preprocess.kind") != "custom" or facts.setting("preprocess.processes"):
        return None
    idle = facts.cores - stage.own_cores - stage.other_cores
    if not _CPU_BOUND < stage.own_cores < _ONE_CORE or idle < _IDLE:
        return None
    wanted = min(workers, facts.cores, stage.own_cores + idle)
    return Finding(
        title=f"The transform's {workers} threads used {stage.own_cores:.1f} cores: they wait for "
        "the interpreter",
        evidence=(
            f"{duration(stage.compute_s)} of preparing, {duration(stage.cpu_s)} of CPU time",
            f"{stage.evidence.voluntary_switches} times a thread waited for another",
        ),
        changes=(Change(scope="spec", key="preprocess.processes", value=True, before=False),),
        saved_s=stage.compute_s * (1 - stage.own_cores / wanted) - _START_S,
    )


def _hits_s(stage: StageFacts) -> float:
    each = _HIT_S + stage.summary.bytes_out / max(1, stage.summary.items) / _HIT_BYTES_PER_S
    return stage.worked_on * each


def _saved_by_cache(facts: Facts, stage: StageFacts) -> float:
    """Return what the next run saves: the preparing, unless the writing behind it takes as long."""
    after = _hits_s(stage)
    if not facts.streamed:
        after = max(after, stage.written_s - stage.summary.wait_output_s)
    return stage.compute_s - after


def _cold_cache(facts: Facts) -> Finding | None:
    stage, uri = facts.stage("preprocess"), facts.setting("cache.uri")
    if stage is None or uri is None or not stage.summary.cache_misses or stage.summary.cache_hits:
        return None
    return Finding(
        title=f"The cache knew none of {stage.summary.cache_misses} records: preparing them took "
        f"{share(stage.compute_s / facts.elapsed_s)} of the run",
        evidence=(
            f"0 hits, {stage.summary.cache_misses} misses, {stage.summary.cache_errors} errors",
            f"{duration(stage.compute_s)} of preparing",
        ),
        changes=(Change(scope="spec", key="cache.uri", value=_SHARED_FOLDER, before=uri),),
        saved_s=_saved_by_cache(facts, stage),
    )


def _no_cache(facts: Facts) -> Finding | None:
    stage = facts.stage("preprocess")
    if stage is None or facts.setting("cache.uri") is not None or facts.setting("preprocess.kind") is None:
        return None
    return Finding(
        title=f"Preparing the records took {share(stage.compute_s / facts.elapsed_s)} of the run",
        evidence=(f"{duration(stage.compute_s)} of preparing, and no cache",),
        changes=(Change(scope="spec", key="cache.uri", value=_SHARED_FOLDER),),
        saved_s=_saved_by_cache(facts, stage),
    )


RULES = (
    Rule(
        name="preprocessing.workers",
        family="preprocessing",
        finds="fewer workers than cores while cores are idle",
        changes="`execution.workers`",
        formula="saved = work x (1 - workers / min(cores, workers + idle cores)), in preprocess "
        "and inference",
        assumptions="the work is CPU time that spreads over the cores, and no interpreter lock is in its way",
        reason=f"{AMDAHL}; {DENNING}",
        look=_workers,
    ),
    Rule(
        name="preprocessing.interpreter-lock",
        family="preprocessing",
        finds="a transform of Python code whose threads take turns",
        changes="`preprocess.processes`",
        formula=f"saved = work x (1 - cores used / min(workers, cores)) - {_START_S:g} s to start processes",
        assumptions="the time is the interpreter's: code in numpy or Arrow would let threads run "
        "side by side; "
        "sending the records to processes takes little",
        reason=f"{AMDAHL}; CPython's global interpreter lock",
        look=_interpreter_lock,
    ),
    Rule(
        name="preprocessing.cold-cache",
        family="preprocessing",
        finds="a cache that knows nothing, such as one on a disk that lives as long as its run",
        changes="`cache.uri`: a folder that the next run finds",
        formula="preparing = records x (20 µs + bytes / 1 GiB/s), or the writing where that takes longer",
        assumptions="the next run has the same records and settings; from then on it is as fast",
        reason=AMDAHL,
        look=_cold_cache,
    ),
    Rule(
        name="preprocessing.no-cache",
        family="preprocessing",
        finds="preparing that a cache would spare the next run",
        changes="`cache.uri`",
        formula="as `preprocessing.cold-cache`",
        assumptions="later runs have the same records, which no report of one run shows",
        reason=AMDAHL,
        look=_no_cache,
        kind="conditional",
    ),
)
