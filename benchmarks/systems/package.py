"""What the two modes of this package share: a run through the public API, and the results it left."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow.parquet as pq

from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.spec.loading import load_spec
from airflow_provider_aiopt.telemetry.metrics import MetricsSink, NullMetrics
from airflow_provider_aiopt.telemetry.reports import StageReport
from airflow_provider_aiopt.telemetry.statsd import StatsdMetrics, parse_address
from benchmarks.systems.work import Outcome, Work, peak_memory

Runner = Callable[[RunContext], Sequence[StageReport]]


def run_package(work: Work, runner: Runner) -> Outcome:
    """Run the pipeline over *work*'s images.

    The time of loading the model, which nothing overlaps, is taken off.  Options: ``statsd`` names a server
    for metrics, ``cache`` a folder for prepared records, ``model`` holds more keys of the spec's ``model``,
    ``preprocess`` is a section of the spec; all others are keys of its ``execution``.
    """
    options = dict(work.options)
    statsd, cache, model, preprocess = (
        options.pop(key, None) for key in ("statsd", "cache", "model", "preprocess")
    )
    spec = load_spec(
        {
            "source": {"uri": str(work.images)},
            "model": {"uri": work.model, **(model or {})},
            **({"preprocess": preprocess} if preprocess else {}),
            **({"cache": {"uri": cache}} if cache else {}),
            "postprocess": {"kind": "classification", "top_k": 1},
            "execution": options,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(f"{folder}/run")
        context = RunContext(spec=spec, workspace=workspace, metrics=_metrics(statsd))
        began, cpu = time.perf_counter(), time.process_time()
        reports = runner(context)
        whole, cpu = time.perf_counter() - began, time.process_time() - cpu
        peak = peak_memory()  # before the results are read
        table = pq.read_table(f"{folder}/run/results", columns=["id", "label", "score"])
    loading = sum(report.model_load_s for report in reports)
    names, labels, scores = (table.column(name).to_pylist() for name in ("id", "label", "score"))
    return Outcome(
        whole - loading,
        dict(zip(names, labels, strict=True)),
        dict(zip(names, scores, strict=True)),
        {
            "model_load_s": loading,
            "cpu_s": cpu,
            "peak_memory_bytes": peak,
            "stages": {report.stage: _stage(report) for report in reports},
        },
    )


def _metrics(server: str | None) -> MetricsSink:
    return NullMetrics() if server is None else StatsdMetrics(*parse_address(server))


def _stage(report: StageReport) -> dict[str, Any]:
    return report.model_dump(
        include={
            "wall_s",
            "busy_s",
            "wait_input_s",
            "wait_output_s",
            "cpu_s",
            "cache_hits",
            "cache_misses",
            "runtime",
            "details",
        }
    )
