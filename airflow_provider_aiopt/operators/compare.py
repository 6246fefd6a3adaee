"""A verdict on runs that have been made, as an Airflow operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_aiopt.airflow.context import open_workspace, task_identity
from airflow_provider_aiopt.airflow.failures import no_vain_retries
from airflow_provider_aiopt.links.stage_timings import StageTimingsLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_aiopt.data.folder import Folder


class CompareOperator(BaseOperator):
    """Compares sets of runs by their reports, and says which pipeline is better.

    Needs the extra ``compare``.

    :param runs: a folder of workspaces for each pipeline, by its name, the baseline first; for example
        ``[aiopt] work_dir`` / DAG id of two DAGs (templated).  Default: the turns that the
        ``VariantOperator`` of this DAG run made
    :param settings: ``metric``, ``threshold``, ``effect``, ``alpha``, ``power`` and ``seed``, as
        ``aiopt compare`` has them (templated)
    :param min_agreement: share of the records that must have the same answer as the baseline's, 0 to 1
        (templated)
    :param workspace: folder or URL of this run's workspace, where ``comparison.json`` is written (templated);
        default ``[aiopt] work_dir`` / DAG id / run id
    """

    template_fields: Sequence[str] = ("runs", "settings", "min_agreement", "workspace")
    template_fields_renderers: ClassVar[dict[str, str]] = {"runs": "json", "settings": "json"}
    operator_extra_links = (StageTimingsLink(),)
    ui_color = "#e6f4ea"

    def __init__(
        self,
        *,
        runs: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
        min_agreement: float | str = 0.98,
        workspace: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.runs = runs
        self.settings = settings
        self.min_agreement = min_agreement
        self.workspace = workspace

    def execute(self, context: Context) -> dict[str, Any]:
        """Compare them.

        :returns: ``verdict``, ``winner``, ``metric``, ``report_uri`` of all figures, and for each of
            ``variants`` its verdict, ratio, interval, rounds and agreement
        """
        from airflow_provider_aiopt.airflow.filesystems import resolve_with_connection
        from airflow_provider_aiopt.compare.agreement import check_agreement
        from airflow_provider_aiopt.compare.folders import compare_folders
        from airflow_provider_aiopt.compare.models import read_settings
        from airflow_provider_aiopt.compare.rendering import json_text, summary, verdict_line

        with no_vain_retries():
            root = open_workspace(task_identity(context), self.workspace).root
            settings = read_settings(self.settings or {})
            comparison = compare_folders(self._folders(root), settings, resolver=resolve_with_connection)
            root.write("comparison.json", json_text(comparison).encode())
            for variant in comparison.variants:
                self.log.info("%s", verdict_line(comparison, variant))
            check_agreement(comparison, float(self.min_agreement))
        return summary(comparison) | {"report_uri": root.uri_of("comparison.json")}

    def _folders(self, root: Folder) -> dict[str, str]:
        from airflow_provider_aiopt.compare.loading import in_turns
        from airflow_provider_aiopt.compare.variants import BASELINE

        if self.runs is not None:
            return dict(self.runs)
        turns = [name for name in root.folders() if in_turns(root.child(name))]
        return {name: root.uri_of(name) for name in sorted(turns, key=lambda name: (name != BASELINE, name))}
