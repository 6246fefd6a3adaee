"""Apache Airflow provider that runs AI pipelines at the machine's limit and accounts for every second.

The names below are imported when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_aiopt.airflow.pods import pod_override
    from airflow_provider_aiopt.decorators.timed_stage import timed_stage
    from airflow_provider_aiopt.kubernetes.resources import PodResources
    from airflow_provider_aiopt.notifications.slow_stage import SlowStageNotifier
    from airflow_provider_aiopt.operators.compare import CompareOperator
    from airflow_provider_aiopt.operators.compare_models import CompareModelsOperator
    from airflow_provider_aiopt.operators.decide import DecideOperator
    from airflow_provider_aiopt.operators.inference import InferenceOperator
    from airflow_provider_aiopt.operators.ingest import IngestOperator
    from airflow_provider_aiopt.operators.kubernetes_stage import KubernetesStageOperator
    from airflow_provider_aiopt.operators.optimize_model import OptimizeModelOperator
    from airflow_provider_aiopt.operators.pipeline import PipelineOperator
    from airflow_provider_aiopt.operators.plan import PlanOperator
    from airflow_provider_aiopt.operators.plan_rounds import PlanRoundsOperator
    from airflow_provider_aiopt.operators.postprocess import PostprocessOperator
    from airflow_provider_aiopt.operators.preprocess import PreprocessOperator
    from airflow_provider_aiopt.operators.take_uploads import TakeUploadsOperator
    from airflow_provider_aiopt.operators.variant import VariantOperator
    from airflow_provider_aiopt.sensors.new_uploads import NewUploadSensor
    from airflow_provider_aiopt.spec import PipelineSpec, load_spec
    from airflow_provider_aiopt.triggers.messages import message_trigger
    from airflow_provider_aiopt.triggers.new_uploads import NewUploadTrigger

__version__ = "0.1.0"

__all__ = [
    "CompareModelsOperator",
    "CompareOperator",
    "DecideOperator",
    "InferenceOperator",
    "IngestOperator",
    "KubernetesStageOperator",
    "NewUploadSensor",
    "NewUploadTrigger",
    "OptimizeModelOperator",
    "PipelineOperator",
    "PipelineSpec",
    "PlanOperator",
    "PlanRoundsOperator",
    "PodResources",
    "PostprocessOperator",
    "PreprocessOperator",
    "SlowStageNotifier",
    "TakeUploadsOperator",
    "VariantOperator",
    "__version__",
    "load_spec",
    "message_trigger",
    "pod_override",
    "timed_stage",
]

_MODULES = {
    "CompareModelsOperator": "operators.compare_models",
    "CompareOperator": "operators.compare",
    "DecideOperator": "operators.decide",
    "InferenceOperator": "operators.inference",
    "IngestOperator": "operators.ingest",
    "KubernetesStageOperator": "operators.kubernetes_stage",
    "NewUploadSensor": "sensors.new_uploads",
    "NewUploadTrigger": "triggers.new_uploads",
    "OptimizeModelOperator": "operators.optimize_model",
    "PipelineOperator": "operators.pipeline",
    "PipelineSpec": "spec",
    "PlanOperator": "operators.plan",
    "PlanRoundsOperator": "operators.plan_rounds",
    "PodResources": "kubernetes.resources",
    "PostprocessOperator": "operators.postprocess",
    "PreprocessOperator": "operators.preprocess",
    "SlowStageNotifier": "notifications.slow_stage",
    "TakeUploadsOperator": "operators.take_uploads",
    "VariantOperator": "operators.variant",
    "load_spec": "spec",
    "message_trigger": "triggers.messages",
    "pod_override": "airflow.pods",
    "timed_stage": "decorators.timed_stage",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
