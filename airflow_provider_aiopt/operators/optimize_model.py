"""Optimising a model as an Airflow operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk import BaseOperator

from airflow_provider_aiopt.airflow.context import open_workspace, task_identity
from airflow_provider_aiopt.airflow.failures import no_vain_retries, skip_exception
from airflow_provider_aiopt.links.stage_timings import StageTimingsLink

if TYPE_CHECKING:
    from airflow.sdk import Context


class OptimizeModelOperator(BaseOperator):
    """Makes a model smaller or faster, and publishes it only if it answers like the original.

    Needs the extra ``export``.  A model that the gate refuses fails the task without retries, and nothing is
    written.

    :param method: ``export``, ``quantize``, ``prune``, ``fp16``, or ``tensorrt``, which builds engines on the
        worker, where its inference finds them, and writes no folder (templated)
    :param model: path or URL of the model folder; for ``export`` a name of ``aiopt model list`` (templated)
    :param output_uri: path or URL of the model folder to write, which replaces one that is there (templated);
        default: ``models`` / task id of the run's workspace
    :param calibration: path or URL of data that the method looks at: a folder of images, a ``.txt`` file with
        a text per line, or an ``.npz`` file (templated)
    :param evaluation: path or URL of data to judge by (templated); default: every fifth calibration
        record
    :param options: the method's own options, as ``aiopt model`` has them: ``kind`` and ``amount`` of
        ``prune``, ``keep`` of ``fp16``, ``reduce_range``; ``crops``, ``evaluation_crops``, ``seed`` of all
        (templated)
    :param gate: ``min_agreement``, ``max_score_error``, ``max_mean_score_error``, ``max_accuracy_drop``
        (templated)
    :param on_refusal: ``fail`` the task, or ``skip`` it and all that depends on it, where the gate refuses
    :param workspace: folder or URL of the run's workspace (templated); default ``[aiopt] work_dir`` / DAG id
        / run id
    """

    template_fields: Sequence[str] = (
        "method",
        "model",
        "output_uri",
        "calibration",
        "evaluation",
        "options",
        "gate",
        "workspace",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"options": "json", "gate": "json"}
    operator_extra_links = (StageTimingsLink(),)
    ui_color = "#fef7e0"

    def __init__(
        self,
        *,
        method: str,
        model: str,
        output_uri: str | None = None,
        calibration: str | None = None,
        evaluation: str | None = None,
        options: Mapping[str, Any] | None = None,
        gate: Mapping[str, Any] | None = None,
        on_refusal: Literal["fail", "skip"] = "fail",
        workspace: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.method = method
        self.model = model
        self.output_uri = output_uri
        self.calibration = calibration
        self.evaluation = evaluation
        self.options = options
        self.gate = gate
        self.on_refusal = on_refusal
        self.workspace = workspace

    def execute(self, context: Context) -> dict[str, Any]:
        """Optimise it.

        :returns: ``model``, where it lies, ``sha256``, ``name``, ``precision``, ``method``, and of the
            original and the new one ``size_bytes`` and ``latency_s``; how far their answers are apart
        """
        from airflow_provider_aiopt.airflow.filesystems import resolve_with_connection
        from airflow_provider_aiopt.exceptions import ModelAccuracyError
        from airflow_provider_aiopt.optimize.jobs import OptimizeJob, run_job

        with no_vain_retries():
            root = open_workspace(task_identity(context), self.workspace).root
            job = OptimizeJob(
                method=self.method,
                model=self.model,
                output=self.output_uri or root.child("models").uri_of(self.task_id),
                calibration=self.calibration or None,
                evaluation=self.evaluation or None,
                options=self.options or {},
                gate=self.gate or {},
            )
            try:
                return run_job(job, resolve_with_connection)
            except ModelAccuracyError as error:
                if self.on_refusal == "skip":
                    raise skip_exception()(str(error)) from error
                raise
