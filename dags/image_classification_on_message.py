"""Classify photographs as a queue's messages tell of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider_aiopt import (
    NewUploadTrigger,
    PipelineOperator,
    message_trigger,
)
from airflow_provider_aiopt.airflow.concurrency import cpu_task_options, inference_task_options, run_limits
from airflow_provider_aiopt.airflow.config import int_option, messages_option, option
from airflow_provider_aiopt.airflow.profiling import PROFILE_OPTIONS, profile_params

DOC = """
### Image classification on message

A photograph below `[aiopt] uploads_uri` is classified when a message of the queue `[aiopt] messages` tells of
it: a notification of S3, Google Cloud Storage or Azure, or an object with `uri`, `size` and `version`.

* **What the queue loses the listing finds:** the folder is listed every five minutes as well. An upload that
  is both listed and told of is classified once.
* **What cannot be read**, or tells of other places, is kept in `dead_letters` of the watch's state.
* **Not beside** `image_classification_on_upload`: both share one watch, and what one claims is no longer
  offered to the other.
* **Without a queue** in `[aiopt] messages` nothing starts the DAG.
"""

MESSAGES = messages_option()
WATCH: dict[str, Any] = {
    "uri": option("uploads_uri"),
    "pattern": ["*.jpg", "*.jpeg", "*.png", "*.webp", "*.gif", "*.bmp", "*.tif", "*.tiff"],
    "recursive": True,
    "poll_interval_s": 300.0,
}
SPEC = {
    "name": "image_classification_on_message",
    "source": {"uri": WATCH["uri"]},
    "model": {"uri": "builtin:efficientnet-lite0-int8"},
    "postprocess": {"kind": "classification", "top_k": 5},
    "execution": {"shards": int_option("shards")},
}


def schedule() -> list[Asset] | None:
    """Return the asset whose watchers start the runs."""
    if MESSAGES is None:
        return None
    watchers = [
        AssetWatcher(name="messages", trigger=message_trigger(**MESSAGES)),
        AssetWatcher(name="listing", trigger=NewUploadTrigger(**WATCH)),
    ]
    return [Asset("aiopt_photographs_by_message", watchers=watchers)]


with DAG(
    "image_classification_on_message",
    description="Classify photographs as a queue's messages tell of them",
    doc_md=DOC,
    schedule=schedule(),
    catchup=False,
    tags=["aiopt", "images", "uploads"],
    params=profile_params(),
    **run_limits(),
    default_args={
        "retries": int_option("retries"),
        "retry_delay": timedelta(seconds=10),
        **cpu_task_options(),
    },
):
    PipelineOperator(
        task_id="classify",
        uploads=WATCH,
        messages=MESSAGES,
        spec=SPEC,
        **inference_task_options(),
        **PROFILE_OPTIONS,
    )
