"""Comparing models, and publishing the best, as an Airflow operator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_aiopt.airflow.context import open_workspace, task_identity
from airflow_provider_aiopt.airflow.failures import no_vain_retries
from airflow_provider_aiopt.links.stage_timings import StageTimingsLink

if TYPE_CHECKING:
    from airflow.sdk import Context


class CompareModelsOperator(BaseOperator):
    """Runs forms of a model on the same data, and publishes the best of those that answer like the first.

    :param models: path or URL of each model folder, or the output of an ``OptimizeModelOperator``, the
        reference first; tasks that were skipped are left out (templated)
    :param data: path or URL of a folder of images, a ``.txt`` or an ``.npz`` file (templated)
    :param options: ``batch_sizes``, ``rounds``, ``calls``, ``crops``, ``seed``, ``device`` (templated)
    :param gate: as for the ``OptimizeModelOperator`` (templated)
    :param choose: what is best: the least ``latency``, the median at the largest batch size, or ``size``
        (templated)
    :param publish: path or URL where the best is copied to, with its card (templated); nowhere by default
    :param workspace: folder or URL of this run's workspace, where ``models.json`` is written (templated);
        default ``[aiopt] work_dir`` / DAG id / run id
    """

    template_fields: Sequence[str] = ("models", "data", "options", "gate", "choose", "publish", "workspace")
    template_fields_renderers: ClassVar[dict[str, str]] = {"options": "json", "gate": "json"}
    operator_extra_links = (StageTimingsLink(),)
    ui_color = "#fef7e0"

    def __init__(
        self,
        *,
        models: Sequence[Any],
        data: str,
        options: Mapping[str, Any] | None = None,
        gate: Mapping[str, Any] | None = None,
        choose: str = "latency",
        publish: str | None = None,
        workspace: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.models = models
        self.data = data
        self.options = options
        self.gate = gate
        self.choose = choose
        self.publish = publish
        self.workspace = workspace

    def execute(self, context: Context) -> dict[str, Any]:
        """Compare them.

        :returns: ``best`` and its ``sha256``, where it was ``published``, ``report_uri`` of all figures, and
            for each of ``models`` its size, latencies, agreement and the limits that it is beyond
        """
        import json

        from airflow_provider_aiopt.airflow.filesystems import resolve_with_connection
        from airflow_provider_aiopt.optimize.jobs import CompareJob, run_comparison
        from airflow_provider_aiopt.optimize.models_table import models_values

        with no_vain_retries():
            root = open_workspace(task_identity(context), self.workspace).root
            job = CompareJob(
                models=model_uris(self.models),
                data=self.data,
                options=self.options or {},
                gate=self.gate or {},
                choose=self.choose,
                publish=self.publish or None,
            )
            comparison, answer = run_comparison(job, resolve_with_connection)
            root.write("models.json", json.dumps(models_values(comparison), indent=2).encode())
        return answer | {"report_uri": root.uri_of("models.json")}


def model_uris(models: Iterable[Any]) -> list[str]:
    """Return where the models lie that tasks answered, leaving out those that were skipped."""
    return [str(model["model"] if isinstance(model, Mapping) else model) for model in models if model]
