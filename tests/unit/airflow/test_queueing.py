from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow_fakes import FakeTaskInstance, task_context

from airflow_provider_aiopt.airflow import queueing
from airflow_provider_aiopt.airflow.queueing import queued_s, send_queue_time
from airflow_provider_aiopt.telemetry.catalogue import TASK_QUEUED
from airflow_provider_aiopt.telemetry.testing import RecordingMetrics, Sent

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def context(
    *,
    waited_s: float | None = 2.5,
    began: datetime | None = BEGAN,
    upstream: frozenset[str] = frozenset(),
    try_number: int = 1,
) -> dict[str, Any]:
    """The context of a task that started *waited_s* after its run began."""
    instance = FakeTaskInstance("ingest", try_number=try_number)
    if waited_s is not None:
        instance.start_date = BEGAN + timedelta(seconds=waited_s)
    run, task = SimpleNamespace(start_date=began), SimpleNamespace(upstream_task_ids=upstream)
    return task_context(instance, context={"dag_run": run, "task": task})


def test_a_first_task_has_waited_since_its_run_began() -> None:
    assert queued_s(context()) == 2.5


def test_clocks_that_differ_make_no_negative_wait() -> None:
    assert queued_s(context(waited_s=-3.0)) == 0.0


@pytest.mark.parametrize(
    "unknown",
    [
        context(upstream=frozenset({"plan"})),
        context(try_number=2),
        context(waited_s=None),
        context(began=None),
        task_context(),
    ],
    ids=["waits for others", "retry", "no start", "run without start", "no task"],
)
def test_what_is_not_known_is_not_sent(unknown: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    sink = RecordingMetrics()
    monkeypatch.setattr(queueing, "AirflowMetrics", lambda: sink)

    send_queue_time(unknown, "ingest")

    assert queued_s(unknown) is None
    assert sink.sent == []


def test_the_wait_is_sent_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = RecordingMetrics()
    monkeypatch.setattr(queueing, "AirflowMetrics", lambda: sink)

    send_queue_time(context(), "ingest")

    tags = {"dag_id": "dag", "task_id": "ingest", "stage": "ingest"}
    assert sink.sent == [Sent("timing", TASK_QUEUED, 2500.0, tags)]
