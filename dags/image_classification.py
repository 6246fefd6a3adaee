"""Classify the photographs in a folder or bucket, shard by shard, in four stages."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param

from airflow_provider_aiopt import (
    InferenceOperator,
    IngestOperator,
    PostprocessOperator,
    PreprocessOperator,
)
from airflow_provider_aiopt.airflow.concurrency import cpu_task_options, inference_task_options, run_limits
from airflow_provider_aiopt.airflow.config import int_option
from airflow_provider_aiopt.airflow.profiling import PROFILE_OPTIONS, profile_params

DOC = """
### Image classification

`ingest` reads the photographs into shards, each shard is decoded by a `preprocess` task and classified by
an `inference` task of its own, and `postprocess` writes one Parquet file per shard with the columns `id`,
`uri`, `sha256`, `label`, `score` and `top_k`.

* **Where the time went**: `aiopt report image_classification/RUN_ID`, or each task's XCom `stage_report`.
* **Bad photographs** never fail the run: they are in `quarantine/` of the run's workspace, with the reason.
  Lower `max_bad_fraction` to make too many of them an error.
* **How much runs at once**: `shards` (tasks per stage), `[aiopt] max_active_runs`, `max_active_tasks`, and
  the pools `cpu_pool` and `inference_pool` or, where `gpu_pool_slots` says that there are GPUs, `gpu_pool`.
* **Retries** go on after the last finished shard and never write a result twice.
"""

PHOTOGRAPHS = Path(__file__).resolve().parent.parent / "examples" / "photographs"

SPEC = {
    "name": "image_classification",
    "source": {
        "uri": "{{ params.source }}",
        "pattern": ["*.jpg", "*.jpeg", "*.png", "*.webp", "*.gif", "*.bmp", "*.tif", "*.tiff"],
        "recursive": "{{ params.recursive }}",
    },
    "model": {"uri": "{{ params.model }}", "device": "{{ params.device }}"},
    "postprocess": {"kind": "classification", "top_k": "{{ params.top_k }}"},
    "execution": {
        "shards": "{{ params.shards }}",
        "batch_size": "{{ params.batch_size }}",
        "max_bad_fraction": "{{ params.max_bad_fraction }}",
    },
}

with DAG(
    "image_classification",
    description="Ingest, preprocess, classify and postprocess photographs",
    doc_md=DOC,
    schedule=None,
    catchup=False,
    tags=["aiopt", "images"],
    **run_limits(),
    default_args={
        "retries": int_option("retries"),
        "retry_delay": timedelta(seconds=10),
        **cpu_task_options(),
    },
    params={
        "source": Param(
            str(PHOTOGRAPHS),
            type="string",
            minLength=1,
            title="Source",
            description="Folder, file or URL; s3://connection@bucket/prefix takes an Airflow connection",
        ),
        "recursive": Param(False, type="boolean", description="Descend into sub-folders"),
        "model": Param(
            "builtin:efficientnet-lite0-int8",
            type="string",
            minLength=1,
            description="builtin:NAME, an .onnx file or a model folder",
        ),
        "device": Param("auto", type="string", enum=["auto", "cpu", "cuda", "tensorrt"]),
        "shards": Param(
            int_option("shards"),
            type="integer",
            minimum=1,
            maximum=int_option("max_shards"),
            description="Tasks that work side by side in preprocess and inference",
        ),
        "batch_size": Param(
            8, type="integer", minimum=1, description="Photographs per inference call; 32 or more for a GPU"
        ),
        "top_k": Param(5, type="integer", minimum=1, description="Labels listed for each photograph"),
        "max_bad_fraction": Param(
            1.0,
            type="number",
            minimum=0,
            maximum=1,
            description="Share of photographs that may be quarantined before the run fails",
        ),
        **profile_params(),
    },
):
    ingest = IngestOperator(task_id="ingest", spec=SPEC, **PROFILE_OPTIONS)
    preprocess = PreprocessOperator.partial(
        task_id="preprocess", spec=SPEC, **PROFILE_OPTIONS, map_index_template="{{ task.shard }}"
    ).expand(shard=ingest.output)
    inference = InferenceOperator.partial(
        task_id="inference",
        spec=SPEC,
        **inference_task_options(),
        **PROFILE_OPTIONS,
        map_index_template="{{ task.shard }}",
    ).expand(shard=preprocess.output)
    PostprocessOperator(task_id="postprocess", spec=SPEC, shard=inference.output, **PROFILE_OPTIONS)
