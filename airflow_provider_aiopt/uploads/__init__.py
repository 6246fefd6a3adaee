"""Uploads: new objects of a folder or bucket, each offered until a run has claimed it, and claimed once.

``docs/events.md`` tells how it works and why.
"""

from airflow_provider_aiopt.data.uploads import Upload, from_jsonl, run_id_for, to_jsonl
from airflow_provider_aiopt.spec.uploads import UploadWatchSpec, load_watch_spec
from airflow_provider_aiopt.uploads.batches import Batch, BatchStore
from airflow_provider_aiopt.uploads.claims import Claim, Claimed, ClaimStore
from airflow_provider_aiopt.uploads.clocks import Clocks
from airflow_provider_aiopt.uploads.state import UploadState, open_state
from airflow_provider_aiopt.uploads.watching import watch

__all__ = [
    "Batch",
    "BatchStore",
    "Claim",
    "ClaimStore",
    "Claimed",
    "Clocks",
    "Upload",
    "UploadState",
    "UploadWatchSpec",
    "from_jsonl",
    "load_watch_spec",
    "open_state",
    "run_id_for",
    "to_jsonl",
    "watch",
]
