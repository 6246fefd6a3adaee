"""Classify photographs as they are uploaded."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider_aiopt import (
    InferenceOperator,
    IngestOperator,
    NewUploadSensor,
    NewUploadTrigger,
    PipelineOperator,
    PostprocessOperator,
    PreprocessOperator,
    TakeUploadsOperator,
)
from airflow_provider_aiopt.airflow.concurrency import cpu_task_options, inference_task_options, run_limits
from airflow_provider_aiopt.airflow.config import choice_option, int_option, option
from airflow_provider_aiopt.airflow.profiling import PROFILE_OPTIONS, profile_params

DOC = """
### Image classification on upload

A photograph that appears in `[aiopt] uploads_uri` is classified. Unpause the DAG that you want; each of them
classifies every upload once:

* `image_classification_on_upload` is started by its asset's watcher;
* `image_classification_direct` is started by `aiopt watch`, some tenths of a second sooner;
* `image_classification_sensor` waits for uploads itself.

**Nothing is moved or deleted.** Which run has which upload is kept in `[aiopt] uploads_dir`; see
`aiopt uploads list`. **A new version** of a photograph is a new upload. **Results** are in the run's
workspace, unless the spec names a sink.
"""

WATCH: dict[str, Any] = {
    "uri": option("uploads_uri"),
    "pattern": ["*.jpg", "*.jpeg", "*.png", "*.webp", "*.gif", "*.bmp", "*.tif", "*.tiff"],
    "recursive": True,
}
STREAMING = choice_option("uploads_mode", ("streaming", "staged")) == "streaming"


def spec_of(dag_id: str) -> dict[str, Any]:
    """Return the pipeline of a DAG."""
    return {
        "name": dag_id,
        "source": {"uri": WATCH["uri"]},
        "model": {"uri": "builtin:efficientnet-lite0-int8"},
        "postprocess": {"kind": "classification", "top_k": 5},
        "execution": {"shards": int_option("shards")},
    }


def classify(dag_id: str) -> None:
    """Add the pipeline over the uploads that a run was started for."""
    if STREAMING:
        PipelineOperator(
            task_id="classify",
            uploads=WATCH,
            spec=spec_of(dag_id),
            **inference_task_options(),
            **PROFILE_OPTIONS,
        )
    else:
        classify_listed(dag_id, TakeUploadsOperator(task_id="take", watch=WATCH))


def classify_listed(dag_id: str, taken: Any) -> None:
    """Add the pipeline over the uploads that the task *taken* has claimed and listed."""
    spec = spec_of(dag_id)
    spec["source"]["manifest"] = f"{{{{ ti.xcom_pull('{taken.task_id}') }}}}"
    if STREAMING:
        taken >> PipelineOperator(
            task_id="classify", spec=spec, **inference_task_options(), **PROFILE_OPTIONS
        )
        return
    ingest = IngestOperator(task_id="ingest", spec=spec, **PROFILE_OPTIONS)
    preprocess = PreprocessOperator.partial(task_id="preprocess", spec=spec, **PROFILE_OPTIONS).expand(
        shard=ingest.output
    )
    inference = InferenceOperator.partial(
        task_id="inference", spec=spec, **inference_task_options(), **PROFILE_OPTIONS
    ).expand(shard=preprocess.output)
    taken >> ingest
    PostprocessOperator(task_id="postprocess", spec=spec, shard=inference.output, **PROFILE_OPTIONS)


COMMON: dict[str, Any] = {
    "doc_md": DOC,
    "catchup": False,
    "tags": ["aiopt", "images", "uploads"],
    "params": profile_params(),
    "default_args": {
        "retries": int_option("retries"),
        "retry_delay": timedelta(seconds=10),
        **cpu_task_options(),
    },
}

photographs = Asset(
    "aiopt_photographs", watchers=[AssetWatcher(name="new_uploads", trigger=NewUploadTrigger(**WATCH))]
)

with DAG(
    "image_classification_on_upload",
    description="Classify photographs as they are uploaded",
    schedule=[photographs],
    **run_limits(),
    **COMMON,
) as on_upload:
    classify(on_upload.dag_id)

with DAG(
    "image_classification_direct",
    description="Classify the photographs that aiopt watch has seen",
    schedule=None,
    **run_limits(),
    **COMMON,
) as direct:
    classify(direct.dag_id)

with DAG(
    "image_classification_sensor",
    description="Wait for uploaded photographs and classify them, again and again",
    schedule="@continuous",
    max_active_runs=1,
    **COMMON,
) as by_sensor:
    # Pools of this package count deferred tasks: a sensor that waits in one would hold a slot of the stages.
    wait = NewUploadSensor(task_id="wait", watch=WATCH, deferrable=True, pool="default_pool")
    classify_listed(by_sensor.dag_id, wait)
