"""This package, staged: one stage after the other in one process, durable shards between them."""

from __future__ import annotations

from airflow_provider_aiopt.runner.staged import run_pipeline
from benchmarks.systems.package import run_package
from benchmarks.systems.work import Outcome, Work, serve


def run(work: Work) -> Outcome:
    """Run *work* stage by stage."""
    return run_package(work, run_pipeline)


if __name__ == "__main__":
    serve(run)
