"""The names of what one task of a run may do."""

from __future__ import annotations

from airflow_provider_aiopt.telemetry.reports import STAGES

PLAN = "plan"
PIPELINE = "pipeline"

WORK = (*STAGES, PIPELINE, PLAN)
"""A stage, all of them streamed, or the listing for several tasks that stream."""

FIRST_WORK = (STAGES[0], PLAN)
"""Work that begins a run, and is given no shards."""

RESULTS_WORK = (STAGES[-1], PIPELINE)
"""Work that makes results instead of shards."""
