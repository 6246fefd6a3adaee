"""Classify the photographs in a folder or bucket in pods, each shard streamed through all stages in one."""

from __future__ import annotations

from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param

from airflow_provider_aiopt.airflow.concurrency import cpu_task_options, inference_task_options, run_limits
from airflow_provider_aiopt.airflow.config import int_option, option, pod_resources_option

DOC = """
### Image classification in pods

`plan` lists the photographs in a small pod and cuts the list into shards; each `pipeline` task streams one of
them through all stages in a pod with what `[aiopt] pod_resources` gives it, such as a GPU. The results are
those of `image_classification_streaming`; Airflow itself needs no package for models or data.

* **Storage**: source and `[aiopt] work_dir` are an object store, or a folder that Airflow and the pods reach
  under the same name, by `claims` in `pod_resources`.
* **Where a pod's time went**: each task's XCom `pod_timings`, from waiting for a node to loading the model.
* **What fails** says why, and is retried only where that helps.
* **Needs** `pip install 'airflow-provider-aiopt[kubernetes]'`; without it there is no such DAG.
"""

PHOTOGRAPHS = Path(__file__).resolve().parent.parent / "examples" / "photographs"

SPEC = {
    "name": "image_classification_kubernetes",
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


def build() -> DAG:
    """Return the DAG; its operator needs the extra ``kubernetes``."""
    from airflow_provider_aiopt import KubernetesStageOperator

    resources = pod_resources_option()
    namespace = option("pod_namespace") or None
    pods: dict[str, Any] = {"spec": SPEC, "image": "{{ params.image }}", "namespace": namespace}
    with DAG(
        "image_classification_kubernetes",
        description="Classify photographs, each shard in one pod",
        doc_md=DOC,
        schedule=None,
        catchup=False,
        tags=["aiopt", "images", "kubernetes"],
        **run_limits(),
        default_args={"retries": int_option("retries"), "retry_delay": timedelta(seconds=10)},
        params={
            "source": Param(str(PHOTOGRAPHS), type="string", minLength=1, description="Folder, file or URL"),
            "recursive": Param(False, type="boolean", description="Descend into sub-folders"),
            "image": Param(option("pod_image"), type="string", minLength=1, description="The runtime image"),
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
                description="Pods that work side by side",
            ),
            "batch_size": Param(
                8,
                type="integer",
                minimum=1,
                description="Photographs per inference call; 32 or more for a GPU",
            ),
            "top_k": Param(5, type="integer", minimum=1, description="Labels listed for each photograph"),
            "max_bad_fraction": Param(
                1.0,
                type="number",
                minimum=0,
                maximum=1,
                description="Share of photographs that may be quarantined before the run fails",
            ),
        },
    ) as dag:
        # What listing needs of a node: its volumes, and no GPU.
        listing = resources | {"gpus": 0, "memory": "1Gi", "cpu": "500m"}
        plan = KubernetesStageOperator(
            task_id="plan", stage="plan", pod_resources=listing, **pods, **cpu_task_options()
        )
        KubernetesStageOperator.partial(
            task_id="pipeline",
            stage="pipeline",
            pod_resources=resources,
            **pods,
            **inference_task_options(),
            map_index_template="{{ task.shard }}",
        ).expand(shard=plan.output)
    return dag


if find_spec("airflow.providers.cncf") and find_spec("airflow.providers.cncf.kubernetes"):
    DAG_IN_PODS = build()
