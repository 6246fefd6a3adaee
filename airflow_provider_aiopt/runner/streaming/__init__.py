"""Streaming execution: all stages overlapped in one process, nothing written between them."""

from airflow_provider_aiopt.runner.streaming.run import run_streaming

__all__ = ["run_streaming"]
