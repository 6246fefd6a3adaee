"""Runs a pipeline in a process of its own and prints its run report.

Usage: ``python -m benchmarks.sick.child JOB``, a JSON file with ``spec``, ``mode`` and ``workspace``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from airflow_provider_aiopt.data.workspace import Workspace
from airflow_provider_aiopt.runner.context import RunContext
from airflow_provider_aiopt.runner.staged import run_pipeline
from airflow_provider_aiopt.runner.streaming import run_streaming
from airflow_provider_aiopt.spec.loading import load_spec
from airflow_provider_aiopt.telemetry.run_report import load_run_report

ALLOWED = ("benchmarks.sick.transforms",)
_INTERVAL_S = 0.5


def main() -> None:
    """Run the job."""
    job = json.loads(Path(sys.argv[1]).read_text())
    workspace = Workspace.open(job["workspace"])
    context = RunContext(
        spec=load_spec(job["spec"]),
        workspace=workspace,
        allowed_callables=ALLOWED,
        hardware_interval_s=_INTERVAL_S,
    )
    (run_streaming if job["mode"] == "streaming" else run_pipeline)(context)
    sys.stdout.write(load_run_report(workspace.root).model_dump_json())


if __name__ == "__main__":
    main()
