"""The notifier that speaks up where a stage was too slow."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from airflow_provider_aiopt.airflow.config import slow_stage_option
from airflow_provider_aiopt.airflow.reports import is_run_callback, run_reports, task_reports
from airflow_provider_aiopt.airflow.urls import run_timings_url
from airflow_provider_aiopt.telemetry.thresholds import Thresholds, find_breaches, read_limits

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_aiopt.telemetry.alerts import StageAlert
    from airflow_provider_aiopt.telemetry.reports import StageReport
    from airflow_provider_aiopt.telemetry.thresholds import StageLimit

log = logging.getLogger(__name__)

ALERT = "stage_alert"
"""Name of the :class:`~airflow_provider_aiopt.telemetry.alerts.StageAlert` in contexts and templates."""


class SlowStageNotifier(BaseNotifier):
    """Judges the stages that just ended, and passes on to other notifiers where one went over its limit.

    As ``on_success_callback`` of a task it judges that task's stages; of a DAG, the whole run, a stage's
    mapped tasks taken together::

        DAG(
            "photos",
            on_success_callback=SlowStageNotifier(
                {"inference": 5.0, "preprocess": {"seconds_per_item": 0.05}},
                max_bad_fraction=0.01,
                notify=SmtpNotifier(
                    to="ml@example.org",
                    subject="{{ stage_alert.subject }}",
                    html_content="<pre>{{ stage_alert.text | e }}</pre>",
                ),
            ),
        )

    What is over a limit is in the callback's log as a warning, too.

    :param thresholds: for each stage its limit in seconds, or a mapping with ``seconds`` or
        ``seconds_per_item``; ``"*"`` for all stages without one.  Default: ``[aiopt] slow_stage_seconds``
    :param max_bad_fraction: largest part of a stage's records that may be quarantined, 0 to 1
    :param min_items: how many records a stage must have worked on before its time per record and its bad
        fraction are judged
    :param notify: notifiers, or other functions of the context, that are called with a ``stage_alert`` in it,
        which has ``subject``, ``text``, ``link`` and ``breaches``
    :raises ConfigurationError: if a limit cannot be
    """

    def __init__(
        self,
        thresholds: Mapping[str, float | Mapping[str, float] | StageLimit] | None = None,
        *,
        max_bad_fraction: float | None = None,
        min_items: int = 1,
        notify: Callable[[Any], Any] | Sequence[Callable[[Any], Any]] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.thresholds = None if thresholds is None else read_limits(thresholds)
        self.max_bad_fraction = max_bad_fraction
        self.min_items = min_items
        self.notifiers = (notify,) if callable(notify) else tuple(notify)
        self._thresholds({})  # whatever is wrong shows where the DAG is parsed, not after its first run

    def notify(self, context: Context) -> None:
        """Judge, and call the notifiers where a limit was exceeded.

        :param context: of a task's callback or a DAG's
        :raises ReportError: if an XCom under the key of stage reports is none
        :raises ConfigurationError: if ``[aiopt] slow_stage_seconds`` is needed and wrong
        """
        alert = self._judge(context)
        if alert is not None:
            log.warning("%s", alert)
            self._pass_on({**context, ALERT: alert})

    def _judge(self, context: Context) -> StageAlert | None:
        from airflow_provider_aiopt.telemetry.alerts import StageAlert
        from airflow_provider_aiopt.telemetry.summary import build_run_report

        whole_run = is_run_callback(context)
        reports = run_reports(context) if whole_run else task_reports(context)
        if not reports:
            log.info("No stage has reported: there is nothing to judge")
            return None
        limits = slow_stage_option() if self.thresholds is None else self.thresholds
        breaches = find_breaches(build_run_report(reports).stages, self._thresholds(limits))
        if not breaches:
            return None
        ti = context["ti"]
        return StageAlert(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            breaches=breaches,
            link=run_timings_url(ti.dag_id, ti.run_id),
            task=None if whole_run else _task_name(reports[0]),
        )

    def _thresholds(self, limits: Mapping[str, StageLimit]) -> Thresholds:
        return Thresholds(limits, max_bad_fraction=self.max_bad_fraction, min_items=self.min_items)

    def _pass_on(self, context: dict[str, Any]) -> None:
        """Call every notifier; one that fails keeps none of the others from speaking.

        :raises ExceptionGroup: with the errors of those that failed
        """
        errors: list[Exception] = []
        for notifier in self.notifiers:
            try:
                # A copy: rendering replaces a notifier's templates, and the next run has its own text.
                copy.copy(notifier)(context)
            except Exception as error:  # noqa: BLE001 - whatever a notifier raises; raised again below
                errors.append(error)
        if errors:
            raise ExceptionGroup(f"{len(errors)} of {len(self.notifiers)} notifiers failed", errors)


def _task_name(report: StageReport) -> str | None:
    if report.task is None:
        return None
    mapped = f"[{report.task.map_index}]" if report.task.map_index >= 0 else ""
    return f"{report.task.task_id}{mapped}"
