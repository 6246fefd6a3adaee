"""Make smaller forms of a model, and publish the fastest of those that answer like it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param

from airflow_provider_aiopt import CompareModelsOperator, OptimizeModelOperator
from airflow_provider_aiopt.airflow.concurrency import cpu_task_options
from airflow_provider_aiopt.airflow.config import int_option, option

DOC = """
### Model optimisation

`quantize` and `prune` each write a form of the model into the run's workspace, if it answers like the
original on data that it was not made with; a form that does not is not written, and its task is skipped.
`compare` runs the model and the forms that are left in turn, and copies the fastest to `publish`: the model
itself where no form is faster. Its card has where it comes from, and the sha256 by which pipelines pin it.

* **The model** is a folder made with `aiopt model export`; workers need `airflow-provider-aiopt[export]`.
* **Data** are a folder of images, a `.txt` file with a text per line, or an `.npz` file with prepared
  tensors. Give data that look like those of the pipeline: the model is judged by nothing else.
* **All figures** are in `models.json` of the run's workspace.
"""

GATE: dict[str, str] = {
    "min_agreement": "{{ params.min_agreement }}",
    "max_score_error": "{{ params.max_score_error }}",
    "max_mean_score_error": "{{ params.max_mean_score_error }}",
}
FORM: dict[str, Any] = {
    "model": "{{ params.model }}",
    "calibration": "{{ params.calibration }}",
    "evaluation": "{{ params.evaluation or '' }}",
    "gate": GATE,
    "on_refusal": "skip",
}

with DAG(
    "optimize_model",
    description="Quantise and prune a model behind an accuracy gate, and publish the fastest form",
    doc_md=DOC,
    schedule=None,
    catchup=False,
    tags=["aiopt", "models"],
    max_active_runs=1,  # two at once would disturb each other's times
    default_args={
        "retries": int_option("retries"),
        "retry_delay": timedelta(seconds=10),
        **cpu_task_options(),
    },
    params={
        "model": Param(
            f"{option('model_dir')}/efficientnet-lite0",
            type="string",
            minLength=1,
            description="Model folder in FP32; s3://connection@bucket/prefix takes an Airflow connection",
        ),
        "calibration": Param(
            f"{option('model_dir')}/calibration", type="string", minLength=1, description="Data to look at"
        ),
        "evaluation": Param(
            None,
            type=["null", "string"],
            description="Data to judge by; none: every fifth record of the calibration data",
        ),
        "amount": Param(
            0.05,
            type="number",
            exclusiveMinimum=0,
            exclusiveMaximum=1,
            description="Share of the channels to prune",
        ),
        "min_agreement": Param(0.95, type="number", minimum=0, maximum=1),
        "max_score_error": Param(0.25, type="number", minimum=0),
        "max_mean_score_error": Param(0.03, type="number", minimum=0),
        "publish": Param(
            None, type=["null", "string"], description="Folder or URL for the fastest; none: nowhere"
        ),
    },
):
    quantize = OptimizeModelOperator(task_id="quantize", method="quantize", **FORM)
    prune = OptimizeModelOperator(
        task_id="prune",
        method="prune",
        options={"kind": "structured", "amount": "{{ params.amount }}"},
        **FORM,
    )
    CompareModelsOperator(
        task_id="compare",
        models=["{{ params.model }}", quantize.output, prune.output],
        data="{{ params.evaluation or params.calibration }}",
        gate=GATE,
        publish="{{ params.publish or '' }}",
        trigger_rule="none_failed",  # a form that was refused is skipped
    )
