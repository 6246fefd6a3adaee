from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, BaseNotifier, BaseOperator
from airflow_fakes import FakeTaskInstance, task_context

from airflow_provider_aiopt import SlowStageNotifier
from airflow_provider_aiopt.airflow.context import REPORT_KEY, REPORTS_KEY
from airflow_provider_aiopt.exceptions import ConfigurationError
from airflow_provider_aiopt.telemetry.alerts import StageAlert
from airflow_provider_aiopt.telemetry.reports import StageReport, TaskIdentity

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Messenger(BaseNotifier):
    """Keeps what it is told to send."""

    template_fields: Sequence[str] = ("message",)

    def __init__(self, message: str, sent: list[str]) -> None:
        super().__init__()
        self.message = message
        self.sent = sent

    def notify(self, context: Any) -> None:
        self.sent.append(self.message)


class BrokenMessenger(BaseNotifier):
    def notify(self, context: Any) -> None:
        raise ConnectionError("no route to the mail server")


def report(
    stage: str, seconds: float, *, index: int = -1, begins: float = 0.0, **facts: Any
) -> dict[str, Any]:
    begin = NOON + timedelta(seconds=begins)
    return StageReport(
        pipeline="p",
        stage=stage,
        task=TaskIdentity(dag_id="dag", run_id="run", task_id=stage, map_index=index),
        started_at=begin,
        ended_at=begin + timedelta(seconds=seconds),
        wall_s=seconds,
        busy_s=seconds,
        **facts,
    ).model_dump(mode="json")


def of_task(*reports: dict[str, Any]) -> dict[str, Any]:
    return task_context(FakeTaskInstance("inference", xcoms={REPORTS_KEY: list(reports)}))


def of_run(**reports: list[dict[str, Any]]) -> dict[str, Any]:
    others = {(task_id, REPORT_KEY): values for task_id, values in reports.items()}
    with DAG("dag", schedule=None) as dag:
        for task_id in reports:
            BaseOperator(task_id=task_id)
    return {"ti": FakeTaskInstance("last", others=others), "dag": dag, "reason": "success"}


def collecting(alerts: list[StageAlert]) -> Any:
    return lambda context: alerts.append(context["stage_alert"])


class TestTask:
    def test_a_slow_stage_is_passed_on_to_each_notifier(self) -> None:
        sent: list[str] = []
        notifiers = [Messenger(f"{{{{ stage_alert.{part} }}}}", sent) for part in ("subject", "text")]
        SlowStageNotifier({"inference": 5}, notify=notifiers)(of_task(report("inference", 12.0, index=3)))
        assert sent[0] == "dag: inference took 12.0 s; its limit is 5.00 s"
        assert sent[1].startswith("DAG dag, run run, task inference[3]:\n- inference took 12.0 s; its limit")
        assert sent[1].endswith("/dags/dag/runs/run/plugin/aiopt-run")

    def test_a_fast_one_is_not(self, caplog: pytest.LogCaptureFixture) -> None:
        alerts: list[StageAlert] = []
        SlowStageNotifier({"inference": 5}, notify=collecting(alerts))(of_task(report("inference", 2.0)))
        assert alerts == []
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]

    def test_without_notifiers_the_log_has_it(self, caplog: pytest.LogCaptureFixture) -> None:
        SlowStageNotifier({"inference": 5})(of_task(report("inference", 12.0)))
        (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert "inference took 12.0 s; its limit is 5.00 s. 100.0 % of its tasks' time" in record.getMessage()

    def test_a_task_without_stages(self, caplog: pytest.LogCaptureFixture) -> None:
        alerts: list[StageAlert] = []
        with caplog.at_level(logging.INFO):
            SlowStageNotifier({"*": 1}, notify=collecting(alerts))(task_context())
        assert alerts == []
        assert "No stage has reported" in caplog.text

    def test_too_many_bad_records(self) -> None:
        alerts: list[StageAlert] = []
        notifier = SlowStageNotifier(max_bad_fraction=0.1, min_items=10, notify=collecting(alerts))
        notifier(of_task(report("preprocess", 1.0, items_out=8, quarantined=2)))
        notifier(of_task(report("preprocess", 1.0, items_out=7, quarantined=2)))
        assert [alert.breaches[0].measure for alert in alerts] == ["bad_fraction"]


class TestRun:
    def test_a_stages_mapped_tasks_are_taken_together(self) -> None:
        alerts: list[StageAlert] = []
        notifier = SlowStageNotifier({"*": 5.0}, notify=collecting(alerts))
        # Two tasks of 4 s, the second three seconds after the first: the stage took 7 s.
        shards = [report("inference", 4.0, index=0), report("inference", 4.0, index=1, begins=3.0)]
        notifier(of_run(ingest=[report("ingest", 1.0)], inference=shards))
        (alert,) = alerts
        assert (alert.task, alert.dag_id, alert.run_id) == (None, "dag", "run")
        assert [(breach.stage, breach.measured) for breach in alert.breaches] == [("inference", 7.0)]

    def test_each_run_has_a_text_of_its_own(self) -> None:
        """Airflow's DAG processor may call the same notifier for several runs."""
        sent: list[str] = []
        notifier = SlowStageNotifier({"*": 1}, notify=Messenger("{{ stage_alert.subject }}", sent))
        for seconds in (2.0, 3.0):
            notifier(of_run(ingest=[report("ingest", seconds)]))
        assert sent == [f"dag: ingest took {took} s; its limit is 1.00 s" for took in ("2.00", "3.00")]


def test_a_notifier_that_fails_silences_no_other() -> None:
    sent: list[str] = []
    notifier = SlowStageNotifier({"*": 1}, notify=[BrokenMessenger(), Messenger("told", sent)])
    with pytest.raises(ExceptionGroup, match="1 of 2 notifiers failed") as failure:
        notifier(of_task(report("inference", 2.0)))
    assert sent == ["told"]
    assert [type(error) for error in failure.value.exceptions] == [ConnectionError]


class TestThresholds:
    def test_those_of_the_deployment_where_the_dag_gives_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__AIOPT__SLOW_STAGE_SECONDS", '{"inference": 5}')
        alerts: list[StageAlert] = []
        SlowStageNotifier(notify=collecting(alerts))(of_task(report("inference", 6.0)))
        SlowStageNotifier({"inference": 7}, notify=collecting(alerts))(of_task(report("inference", 6.0)))
        assert [alert.breaches[0].limit for alert in alerts] == [5]

    def test_wrong_ones_are_found_where_the_dag_is_parsed(self) -> None:
        with pytest.raises(ConfigurationError, match="threshold of stage 'inference' is 0"):
            SlowStageNotifier({"inference": 0})
        with pytest.raises(ConfigurationError, match="max_bad_fraction is 2"):
            SlowStageNotifier(max_bad_fraction=2)
