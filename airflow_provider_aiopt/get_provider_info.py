"""What Airflow reads to discover the provider: operators, decorators, configuration and CLI."""

from __future__ import annotations

from typing import Any

from airflow_provider_aiopt import __version__


def _option(
    description: str, default: str, *, kind: str = "string", example: str | None = None, added: str = "0.1.0"
) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": added,
        "type": kind,
        "example": example,
        "default": default,
    }


CONFIG: dict[str, Any] = {
    "aiopt": {
        "description": "Options of the AI pipeline operators and of the DAG templates.",
        "options": {
            "work_dir": _option(
                "Folder or object-store prefix under which every run keeps its shards, reports and results, "
                "as DAG id / run id. All workers must reach it under the same name.",
                "{AIRFLOW_HOME}/aiopt",
                example="s3://bucket/aiopt",
            ),
            "model_dir": _option(
                "Folder in which templates look for models made with ``aiopt model export``.",
                "{AIRFLOW_HOME}/models",
            ),
            "uploads_dir": _option(
                "Folder or object-store prefix where watched locations keep what was claimed. The triggerer "
                "and all workers must reach it under the same name; of object stores it takes S3, Google "
                "Cloud Storage and Azure Data Lake. Empty: ``uploads`` below ``work_dir``.",
                "",
                example="s3://bucket/aiopt/uploads",
            ),
            "uploads_uri": _option(
                "Folder or URL that the upload templates watch; ``s3://connection@bucket/prefix`` takes an "
                "Airflow connection.",
                "{AIRFLOW_HOME}/uploads",
                example="s3://my_connection@bucket/inbox",
            ),
            "uploads_mode": _option(
                "How the upload templates run their pipeline: ``streaming`` in one task, ``staged`` in four.",
                "streaming",
            ),
            "messages": _option(
                "The queue whose messages start the template image_classification_on_message, as a JSON "
                "object: ``scheme`` and the trigger's parameters. Empty: none.",
                "",
                example='{"scheme": "sqs", "sqs_queue": "https://sqs.eu-central-1.amazonaws.com/1234/uploads"}',
            ),
            "slow_stage_seconds": _option(
                "How long a stage may take before ``SlowStageNotifier`` speaks up, where the DAG gives it no "
                "thresholds: a JSON object of seconds by stage. Empty: no limits.",
                "",
                example='{"inference": 5, "*": 60}',
            ),
            "allowed_callables": _option(
                "Dotted paths of packages, modules or callables that a pipeline spec may name, with all that "
                "lies below them, separated by commas. Empty: none. What is listed here runs in the tasks.",
                "",
                example="my_package.datasets, my_package.transforms",
            ),
            "max_shards": _option(
                "Most shards that one run may be split into, also by ``execution.shard_bytes``; it bounds "
                "task mapping and the size of XComs. Keep it at or below ``[core] max_map_length``.",
                "64",
                kind="integer",
            ),
            "hardware_interval": _option(
                "Seconds between two samples of CPU, memory, disk, network and GPU while a stage runs; "
                "it doubles whenever the stage has 120 of them. 0: none, otherwise 0.1 to 3600.",
                "1",
                kind="float",
            ),
            "shards": _option(
                "Shards per run in the DAG templates: how many mapped tasks work side by side in a stage.",
                "2",
                kind="integer",
            ),
            "max_active_runs": _option(
                "Runs of one DAG template that may be active at the same time.", "4", kind="integer"
            ),
            "max_active_tasks": _option(
                "Tasks of one run of a DAG template that may be active at the same time. "
                "0: as ``[core] max_active_tasks_per_dag`` says.",
                "0",
                kind="integer",
            ),
            "retries": _option("Retries of each task in the DAG templates.", "2", kind="integer"),
            "cpu_pool": _option(
                "Airflow pool of the plan, ingest, preprocess and postprocess tasks in the DAG templates.",
                "default_pool",
            ),
            "cpu_pool_slots": _option(
                "Slots that ``aiopt setup`` gives ``cpu_pool``. 0: it only checks that there is one.",
                "0",
                kind="integer",
            ),
            "inference_pool": _option(
                "Airflow pool of the inference and streaming tasks in the DAG templates where "
                "``gpu_pool_slots`` is 0.",
                "default_pool",
            ),
            "inference_pool_slots": _option(
                "Slots that ``aiopt setup`` gives ``inference_pool``. 0: it only checks that there is one.",
                "0",
                kind="integer",
            ),
            "gpu_pool": _option(
                "Airflow pool of the inference tasks in the DAG templates where ``gpu_pool_slots`` is not 0. "
                "A slot of it stands for a GPU.",
                "gpus",
            ),
            "gpu_pool_slots": _option(
                "GPUs that the DAG templates may use at the same time: the slots that ``aiopt setup`` gives "
                "``gpu_pool``. 0: none, inference runs in ``inference_pool``.",
                "0",
                kind="integer",
            ),
            "gpus_per_task": _option(
                "GPUs that one inference task uses: the slots that it takes in ``gpu_pool``.",
                "1",
                kind="integer",
            ),
            "pod_image": _option(
                "Image of the pods that ``KubernetesStageOperator`` makes: the runtime image of this "
                "package, in the "
                "same version.",
                f"aiopt-runtime:{__version__}",
                example="registry.example.org/aiopt-runtime:0.1.0-gpu",
            ),
            "pod_namespace": _option(
                "Namespace of the pods of the template image_classification_kubernetes. Empty: that of the "
                "Kubernetes connection.",
                "",
            ),
            "pod_resources": _option(
                "What the pods of the template image_classification_kubernetes that run the model are given: "
                "the "
                "parameters of ``PodResources`` as a JSON object. Empty: its defaults.",
                "",
                example='{"gpus": 1, "memory": "16Gi", "claims": {"/data": "aiopt"}}',
            ),
            "gpu_queue": _option(
                "Celery queue of the inference tasks where ``gpu_pool_slots`` is not 0; workers with GPUs "
                "take it by ``airflow celery worker --queues NAME``. Empty: Airflow's default queue.",
                "",
                example="gpu",
            ),
        },
    }
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-aiopt",
        "name": "AI pipelines (aiopt)",
        "description": "Ingestion, preprocessing, model inference and postprocessing with every second "
        "accounted for.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": "AI pipelines (aiopt)",
                "tags": ["ai"],
            }
        ],
        "operators": [
            {
                "integration-name": "AI pipelines (aiopt)",
                "python-modules": [
                    "airflow_provider_aiopt.operators.ingest",
                    "airflow_provider_aiopt.operators.preprocess",
                    "airflow_provider_aiopt.operators.inference",
                    "airflow_provider_aiopt.operators.postprocess",
                    "airflow_provider_aiopt.operators.pipeline",
                    "airflow_provider_aiopt.operators.plan",
                    "airflow_provider_aiopt.operators.take_uploads",
                    "airflow_provider_aiopt.operators.plan_rounds",
                    "airflow_provider_aiopt.operators.variant",
                    "airflow_provider_aiopt.operators.compare",
                    "airflow_provider_aiopt.operators.decide",
                    "airflow_provider_aiopt.operators.optimize_model",
                    "airflow_provider_aiopt.operators.compare_models",
                    "airflow_provider_aiopt.operators.kubernetes_stage",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": "AI pipelines (aiopt)",
                "python-modules": ["airflow_provider_aiopt.sensors.new_uploads"],
            }
        ],
        "triggers": [
            {
                "integration-name": "AI pipelines (aiopt)",
                "python-modules": [
                    "airflow_provider_aiopt.triggers.messages",
                    "airflow_provider_aiopt.triggers.new_uploads",
                    "airflow_provider_aiopt.triggers.redis_stream",
                ],
            }
        ],
        "task-decorators": [
            {
                "name": "timed_stage",
                "class-name": "airflow_provider_aiopt.decorators.timed_stage.timed_stage_task",
            }
        ],
        # For lists of what providers have: by default Airflow loads it by its entry point alone.
        "plugins": [
            {
                "name": "aiopt",
                "plugin-class": "airflow_provider_aiopt.plugins.plugin.StageTimingsPlugin",
            }
        ],
        "extra-links": ["airflow_provider_aiopt.links.stage_timings.StageTimingsLink"],
        "notifications": ["airflow_provider_aiopt.notifications.slow_stage.SlowStageNotifier"],
        "config": CONFIG,
        "cli": ["airflow_provider_aiopt.airflow.cli.get_aiopt_cli_commands"],
    }
