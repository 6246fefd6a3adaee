from __future__ import annotations

import re

import pytest

from airflow_provider_aiopt.telemetry import catalogue
from airflow_provider_aiopt.telemetry.catalogue import CATALOGUE, TAGS, Metric

SUFFIXES = {"seconds": "_seconds", "bytes": "_bytes", "ratio": "_ratio"}


def test_every_declared_metric_is_in_the_catalogue_once() -> None:
    declared = [value for value in vars(catalogue).values() if isinstance(value, Metric)]

    assert list(CATALOGUE) == declared
    assert len({metric.name for metric in CATALOGUE}) == len(CATALOGUE)
    assert len({metric.prometheus for metric in CATALOGUE}) == len(CATALOGUE)


def test_the_stage_duration_has_its_promised_name() -> None:
    assert catalogue.STAGE_DURATION.prometheus == "ai_pipeline_stage_duration_seconds"
    assert catalogue.STAGE_DURATION.tags == ("dag_id", "task_id", "stage")


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric: Metric) -> None:
    assert re.fullmatch(r"ai_pipeline(\.[a-z_]+)+", metric.name)
    assert re.fullmatch(r"[a-z_]+", metric.prometheus)
    assert metric.prometheus.endswith("_total") == (metric.kind == "counter")
    assert metric.kind == "counter" or SUFFIXES.get(metric.unit, "") in metric.prometheus
    assert (metric.kind == "timing") <= (metric.unit == "seconds")
    assert metric.tags == TAGS
    assert metric.description.endswith(".")
