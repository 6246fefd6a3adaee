"""This package, streaming: all stages overlapped in one process."""

from __future__ import annotations

from airflow_provider_aiopt.runner.streaming import run_streaming
from benchmarks.systems.package import run_package
from benchmarks.systems.work import Outcome, Work, serve


def run(work: Work) -> Outcome:
    """Stream *work*."""
    return run_package(work, run_streaming)


if __name__ == "__main__":
    serve(run)
