"""A run's account, small enough for an XCom and readable without this package's pages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from airflow_provider_aiopt.telemetry.reports import RunReport, StageSummary
from airflow_provider_aiopt.telemetry.timings import Advice

MAX_BYTES = 4096
"""Most bytes of JSON that it takes: what an XCom may have."""

_TEXT = 200  # most characters of a name
_ADVICE = 500


def run_digest(report: RunReport, advice: Sequence[Advice] = ()) -> dict[str, Any]:
    """Return what a reader wants to know of a run first, with the unit in each name.

    Where a run has very many stages, those with the smallest share are left out.

    :param report: the run
    :param advice: what limits it and what to do about it
    """
    stages = list(report.stages)
    while len(json.dumps(found := _digest(report, stages, advice))) >= MAX_BYTES and len(stages) > 1:
        stages.remove(min(stages, key=lambda stage: stage.share))
    return found


def _digest(report: RunReport, stages: list[StageSummary], advice: Sequence[Advice]) -> dict[str, Any]:
    return {
        "pipeline": report.pipeline[:_TEXT],
        "wall_s": _rounded(report.wall_s),
        "records_in": report.records_in,
        "results": report.results,
        "quarantined": report.quarantined,
        "bottleneck": report.bottleneck.stage[:_TEXT] if report.bottleneck else None,
        "advice": [f"{item.title}. {item.text}"[:_ADVICE] for item in advice][:2],
        "stages": {stage.stage[:_TEXT]: _stage(stage) for stage in stages},
    }


def _stage(stage: StageSummary) -> dict[str, Any]:
    return {
        "duration_s": _rounded(stage.duration_s),
        "share": _rounded(stage.share),
        "tasks": stage.tasks,
        "items": stage.items,
        "items_per_s": _rounded(stage.items_per_s),
        "quarantined": stage.quarantined,
        "computing_s": _rounded(max(0.0, stage.busy_s - stage.model_load_s)),
        "model_load_s": _rounded(stage.model_load_s),
        "wait_input_s": _rounded(stage.wait_input_s),
        "wait_output_s": _rounded(stage.wait_output_s),
        "cpu_utilisation": _rounded(stage.cpu_utilisation),
        "peak_memory_mib": round(stage.peak_memory_bytes / 2**20),
    }


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
