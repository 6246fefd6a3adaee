"""Classify the photographs in a folder or bucket, each shard streamed through all stages in one task."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param

from airflow_provider_aiopt import PipelineOperator, PlanOperator
from airflow_provider_aiopt.airflow.concurrency import cpu_task_options, inference_task_options, run_limits
from airflow_provider_aiopt.airflow.config import int_option
from airflow_provider_aiopt.airflow.profiling import PROFILE_OPTIONS, profile_params

DOC = """
### Image classification, streaming

`plan` lists the photographs once and cuts the list into shards; each `pipeline` task reads, decodes and
classifies one of them, and writes its Parquet file. Nothing is written between the stages, and the results
are those of `image_classification`.

* **Choose it** where a stage need not be looked at or repeated by itself: a shard costs one task instead of
  three, and loads the model once.
* **Where the time went**: `aiopt report image_classification_streaming/RUN_ID`.
* **Retries** of a task redo its own shard, and only if it was not finished.
"""

PHOTOGRAPHS = Path(__file__).resolve().parent.parent / "examples" / "photographs"

SPEC = {
    "name": "image_classification_streaming",
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
    "image_classification_streaming",
    description="Classify photographs, each shard in one task",
    doc_md=DOC,
    schedule=None,
    catchup=False,
    tags=["aiopt", "images", "streaming"],
    **run_limits(),
    default_args={"retries": int_option("retries"), "retry_delay": timedelta(seconds=10)},
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
            description="Tasks that work side by side",
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
    plan = PlanOperator(task_id="plan", spec=SPEC, **cpu_task_options())
    PipelineOperator.partial(
        task_id="pipeline",
        spec=SPEC,
        **inference_task_options(),
        **PROFILE_OPTIONS,
        map_index_template="{{ task.shard }}",
    ).expand(shard=plan.output)
