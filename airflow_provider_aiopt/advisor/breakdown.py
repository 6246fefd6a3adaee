"""Where a run's time went, by what it was spent on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from airflow_provider_aiopt.advisor.facts import Facts, StageFacts
from airflow_provider_aiopt.advisor.models import Family
from airflow_provider_aiopt.telemetry.reports import STAGES

_WORK: Mapping[str, Family] = {
    "ingest": "storage",
    "preprocess": "preprocessing",
    "inference": "inference",
    "postprocess": "postprocessing",
}


def time_shares(facts: Facts) -> dict[Family, float]:
    """Return parts of the run's time by family, the largest first.

    Of stages one after the other each second counts once, as the stages' own clocks have it; of stages side
    by side their work counts, whose parts are shares of the threads' time.  What no stage and no task of
    Airflow accounts for is left out.

    :param facts: the run
    """
    seconds: dict[Family, float] = {}
    for stage in facts.stages.values():
        for family, spent in _parts(facts, stage) if stage.name in STAGES else ():
            seconds[family] = seconds.get(family, 0.0) + spent
    if facts.spans:
        seconds["scheduling"] = sum(facts.scheduling_gaps)
        seconds["queueing"] = _queued_s(facts)
        seconds["startup"] = seconds.get("startup", 0.0) + _starting_s(facts)
    whole = max(facts.elapsed_s, sum(seconds.values()))
    if not math.isfinite(whole):  # a report may say what it likes
        return {}
    ordered = sorted(seconds.items(), key=lambda item: -item[1])
    return {family: spent / whole for family, spent in ordered if spent > 0}


def _parts(facts: Facts, stage: StageFacts) -> Iterator[tuple[Family, float]]:
    yield "startup", stage.summary.model_load_s / stage.concurrency
    # Reading goes on beside ingestion's own thread, whose work is imports and the books.
    alone = stage.name == STAGES[0] and not facts.streamed
    yield "startup" if alone else _WORK[stage.name], stage.compute_s
    if not facts.streamed:
        yield "storage", (stage.summary.wait_input_s + stage.summary.wait_output_s) / stage.concurrency


def _queued_s(facts: Facts) -> float:
    """Return for how long each stage waited for its first worker."""
    stages = dict.fromkeys(span.stage for span in facts.spans)
    return sum(
        min(max(0.0, span.started - span.scheduled) for span in facts.spans if span.stage == stage)
        for stage in stages
    )


def _starting_s(facts: Facts) -> float:
    return sum(
        span.start_up_s / facts.slots_of(facts.stages[span.stage])
        for span in facts.spans
        if span.stage in facts.stages
    )
