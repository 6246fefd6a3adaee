"""Compare variants of a pipeline with it, by runs in turn, and go on with the best."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param

from airflow_provider_aiopt import CompareOperator, DecideOperator, PlanRoundsOperator, VariantOperator
from airflow_provider_aiopt.airflow.concurrency import cpu_task_options, inference_task_options
from airflow_provider_aiopt.airflow.config import int_option

DOC = """
### A/B test

`plan` puts the runs into rounds: in each the baseline and every variant have a turn, in an order that
changes. `run` makes them one after the other, each in a process of its own. `compare` says of each variant
whether it is better, worse, equivalent or needs more rounds, and fails where it gives other answers. `decide`
writes the winner to `publish` and goes on with one of the tasks behind it: put your own there.

* **Variants** are values by dotted key of the spec; `mode` is `staged` or `streaming`.
* **Rounds**: 6 can tell a difference at all; 12 find 10 % where one run differs from the next by some
  5 %. `compare` says how many are needed where these were not enough.
* **Quiet workers**: what else runs at the same time adds to the variation. Give `[aiopt] inference_pool` a
  slot to itself, or run it at night.
* **All figures** are in `comparison.json` of the run's workspace.
"""

PHOTOGRAPHS = Path(__file__).resolve().parent.parent / "examples" / "photographs"

SPEC = {
    "name": "ab_test",
    "source": {"uri": "{{ params.source }}", "pattern": ["*.jpg", "*.jpeg", "*.png"]},
    "model": {"uri": "{{ params.model }}"},
    "postprocess": {"kind": "classification"},
    "execution": {"batch_size": "{{ params.batch_size }}"},
}
VARIANTS = "{{ params.variants | tojson }}"

with DAG(
    "ab_test",
    description="Compare variants of a pipeline by interleaved runs",
    doc_md=DOC,
    schedule=None,
    catchup=False,
    tags=["aiopt", "images"],
    max_active_runs=1,  # two at once would disturb each other
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
        "model": Param("builtin:efficientnet-lite0-int8", type="string", minLength=1),
        "batch_size": Param(8, type="integer", minimum=1, description="Of the baseline"),
        "variants": Param(
            {"streaming": {"mode": "streaming"}},
            type="object",
            minProperties=1,
            description='Values by dotted key, for example {"large": {"execution.batch_size": 32}}',
        ),
        "rounds": Param(12, type="integer", minimum=2, description="Runs of each"),
        "metric": Param(
            "wall", type="string", description="wall, items_per_s, or of a stage, such as inference"
        ),
        "threshold": Param(
            0.05, type="number", exclusiveMinimum=0, description="Largest difference that does not matter"
        ),
        "publish": Param(
            None, type=["null", "string"], description="JSON file or URL for the winner; none: nowhere"
        ),
    },
):
    plan = PlanRoundsOperator(task_id="plan", variants=VARIANTS, rounds="{{ params.rounds }}")
    run = VariantOperator.partial(
        task_id="run",
        spec=SPEC,
        variants=VARIANTS,
        max_active_tis_per_dagrun=1,
        map_index_template="{{ task.turn }}",
        **inference_task_options(),
    ).expand(turn=plan.output)
    compare = CompareOperator(
        task_id="compare",
        settings={"metric": "{{ params.metric }}", "threshold": "{{ params.threshold }}"},
    )
    decide = DecideOperator(
        task_id="decide",
        comparison=compare.output,
        variants=VARIANTS,
        publish="{{ params.publish or '' }}",
        follow={
            "better": "adopt",
            "equivalent": "keep",
            "worse": "keep",
            "inconclusive": "run_longer",
        },
    )
    run >> compare
    decide >> [EmptyOperator(task_id=name) for name in ("adopt", "keep", "run_longer")]
