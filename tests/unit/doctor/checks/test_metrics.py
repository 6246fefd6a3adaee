from __future__ import annotations

from typing import Any

import pytest
from deployments import FakeConfiguration

from airflow_provider_aiopt.doctor.checks.metrics import (
    OPENTELEMETRY,
    PROMETHEUS,
    STATSD,
    judge_lists,
    judge_loss,
    judge_targets,
)
from airflow_provider_aiopt.doctor.context import CheckContext
from airflow_provider_aiopt.doctor.metrics_path import Route
from airflow_provider_aiopt.doctor.models import Skip

ROUTE = Route("statsd", 8125, "airflow", "http://statsd:9102/metrics")


@pytest.mark.parametrize(
    ("packets", "evidence"),
    [
        (4, "although 4 packets did: the exporter's mapping drops it"),
        (0, "which counted no packet meanwhile"),
        (None, "which is not the page of a statsd_exporter"),
    ],
)
def test_where_a_metric_was_lost(packets: int | None, evidence: str) -> None:
    found = judge_loss(ROUTE, packets)
    assert (found.severity, found.subject) == ("error", "StatsD statsd:8125")
    assert evidence in found.evidence


@pytest.mark.parametrize(
    ("changed", "subjects"),
    [
        ({}, []),
        ({"metrics.metrics_allow_list": "scheduler,ai_pipeline"}, []),
        ({"metrics.metrics_allow_list": "scheduler,executor"}, ["[metrics] metrics_allow_list"]),
        ({"metrics.metrics_block_list": "scheduler"}, []),
        ({"metrics.metrics_block_list": "^ai_"}, ["[metrics] metrics_block_list"]),
    ],
)
def test_lists_that_hold_metrics_back(changed: dict[str, str | None], subjects: list[str]) -> None:
    found = list(judge_lists(FakeConfiguration(**changed)))
    assert [item.subject for item in found] == subjects
    assert all("ai_pipeline." in item.evidence for item in found)


class TestTargets:
    def test_no_exporter_is_scraped(self) -> None:
        (found,) = judge_targets("http://p", [{"labels": {"job": "node"}}], [])
        assert (found.severity, found.evidence) == (
            "error",
            "scrapes no statsd_exporter; its 1 targets belong to: node",
        )

    def test_an_exporter_that_cannot_be_scraped(self) -> None:
        down: dict[str, Any] = {"scrapeUrl": "http://e", "health": "down", "lastError": "connection refused"}
        (found,) = judge_targets("http://p", [down], [down])
        assert (found.severity, found.subject) == ("error", "http://e")
        assert "connection refused" in found.evidence

    def test_an_exporter_that_is_scraped(self) -> None:
        up = {"scrapeUrl": "http://e", "health": "up"}
        assert list(judge_targets("http://p", [up], [up])) == []


def test_without_addresses_they_are_skipped() -> None:
    for check in (STATSD, PROMETHEUS, OPENTELEMETRY):
        (found,) = check.run(CheckContext(environ={}))
        assert isinstance(found, Skip)
