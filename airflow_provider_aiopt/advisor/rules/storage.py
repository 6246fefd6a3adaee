"""Reading the source, and writing and reading between the stages."""

from __future__ import annotations

import math

from airflow_provider_aiopt.advisor.facts import Facts, StageFacts
from airflow_provider_aiopt.advisor.laws import in_progress, least_elapsed_s
from airflow_provider_aiopt.advisor.models import Change
from airflow_provider_aiopt.advisor.rules.base import AMDAHL, DENNING, LITTLE, Finding, Rule
from airflow_provider_aiopt.telemetry.reports import STAGES
from airflow_provider_aiopt.telemetry.units import duration, share

_MOST_READERS = 32
_OCCUPIED = 0.5  # of the readers that must be reading for more of them to help
_LATENCY = 3.0  # reads that take this many times their CPU time wait for something
_LOCAL_BYTES_PER_S = 200e6


def _reading_s(facts: Facts, stage: StageFacts) -> float:
    """Return for how long ingestion was held up by its reads, all its tasks together."""
    readers = facts.number("source.readers") or 1
    if facts.streamed:
        return min(stage.summary.busy_s, stage.read_s / readers)
    # Until its first batch a task lists, and reads that batch.
    first = stage.read_s / max(1, stage.batches) * stage.reading_tasks / readers
    return max(0.0, stage.summary.wait_input_s - max(0.0, stage.setup_s - first))


def _latency_bound(stage: StageFacts) -> bool:
    return stage.reads > 1 and stage.read_s > _LATENCY * stage.cpu_s


def _readers(facts: Facts) -> Finding | None:
    stage, readers = facts.stage(STAGES[0]), facts.number("source.readers")
    if stage is None or readers is None or not _latency_bound(stage):
        return None
    reading = _reading_s(facts, stage)
    busy = in_progress(stage.read_s, reading)
    more = min(_MOST_READERS, math.ceil(stage.reads / stage.reading_tasks))
    if not reading or busy < _OCCUPIED * readers or more <= readers:
        return None
    latency, at_once = stage.read_s / stage.reads, stage.concurrency
    after = max(stage.read_s / more, stage.reading_tasks * latency, least_elapsed_s(stage.cpu_s, facts.cores))
    return Finding(
        title=f"Reading the source took {share(reading / at_once / facts.elapsed_s)} of the run, and waited",
        evidence=(
            f"{stage.reads} reads of {duration(latency)}, {duration(stage.cpu_s / stage.reads)} of it CPU",
            f"{busy:.1f} reads under way at once, with {readers} readers",
        ),
        changes=(Change(scope="spec", key="source.readers", value=more, before=readers),),
        saved_s=max(0.0, reading - after) / at_once,
    )


def _closer(facts: Facts) -> Finding | None:
    stage, readers = facts.stage(STAGES[0]), facts.number("source.readers")
    if stage is None or readers is None or readers < _MOST_READERS or not _latency_bound(stage):
        return None
    reading = _reading_s(facts, stage) / stage.concurrency
    after = stage.summary.bytes_in / _LOCAL_BYTES_PER_S
    return Finding(
        title=f"Reading the source took {share(reading / facts.elapsed_s)} of the run with {readers} readers",
        evidence=(f"{duration(stage.read_s / stage.reads)} a read, {stage.reads} reads",),
        changes=(Change(scope="host", key="location", value="beside the source"),),
        saved_s=max(0.0, reading - after),
    )


def _between(facts: Facts) -> Finding | None:
    own = [facts.stages[name] for name in STAGES if name in facts.stages]
    if facts.streamed or len(own) < len(STAGES) or facts.spans:
        return None
    written = sum(stage.summary.wait_output_s / stage.concurrency for stage in own[:-1])
    read = sum(stage.summary.wait_input_s / stage.concurrency for stage in own[1:])
    source = own[0].summary.wait_input_s
    hidden = min(source, sum(stage.compute_s for stage in own[1:]))
    return Finding(
        title=f"Stages one after the other waited {duration(written + read + hidden)} for storage",
        evidence=(
            f"{duration(written)} to write shards, {duration(read)} to read them back",
            f"{duration(hidden)} of reading the source could have gone on beside the work",
        ),
        changes=(Change(scope="mode", key="mode", value="streaming", before="staged"),),
        saved_s=written + read + hidden,
    )


RULES = (
    Rule(
        name="storage.readers",
        family="storage",
        finds="reads that wait for a distant or slow storage, too few of them at once",
        changes="`source.readers`",
        formula="saved = wait for input without getting ready - max(time of all reads / readers, one read of "
        "each task, CPU time / cores)",
        assumptions="a read takes as long beside others: the storage is not at its limit",
        reason=f"{LITTLE}; {DENNING}",
        look=_readers,
    ),
    Rule(
        name="storage.closer",
        family="storage",
        finds="reads that wait although many are under way",
        changes="run the workers beside the data",
        formula="reading = bytes / 200 MB/s",
        assumptions="the source is local to the workers; a plain disk gives 200 MB/s",
        reason=AMDAHL,
        look=_closer,
        kind="conditional",
    ),
    Rule(
        name="storage.between-stages",
        family="storage",
        finds="stages that wait for the shards between them, or work only when all is read",
        changes="streaming: `aiopt run --mode streaming`, `PipelineOperator`",
        formula="saved = waits to write and read shards + min(reading the source, work of the other stages)",
        assumptions="the work itself takes as long side by side as one stage after the other",
        reason=AMDAHL,
        look=_between,
        kind="mode",
    ),
)
