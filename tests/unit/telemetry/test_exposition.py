from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from airflow_provider_aiopt.telemetry.catalogue import CATALOGUE, Metric
from airflow_provider_aiopt.telemetry.exposition import metrics_page, statsd_mapping
from airflow_provider_aiopt.telemetry.names import dotted_name

ROOT = Path(__file__).parents[3]
REMEDY = "run scripts/render_metrics.py"
TAGS = {"dag_id": "my.dag", "task_id": "group.infer", "stage": "inference"}


def entries_for(name: str) -> list[tuple[dict, dict[str, str]]]:
    """The mapping's entries that match a StatsD name, with the labels that each gives it."""
    found = []
    for entry in yaml.safe_load(statsd_mapping())["mappings"]:
        pattern = re.escape(entry["match"]).replace(r"\*", "([^.]*)")
        if match := re.fullmatch(pattern, name):
            labels = {
                label: match.group(int(place.removeprefix("$")))
                for label, place in entry.get("labels", {}).items()
            }
            found.append((entry, labels))
    return found


def test_the_documentation_is_up_to_date() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == metrics_page(), REMEDY


def test_the_mapping_is_up_to_date() -> None:
    path = ROOT / "airflow_provider_aiopt" / "telemetry" / "statsd_mapping.yaml"

    assert path.read_text() == statsd_mapping(), REMEDY


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_the_mapping_takes_dotted_and_tagged_names_to_one_metric(metric: Metric) -> None:
    ((dotted, labels),) = entries_for(f"airflow.{dotted_name(metric, TAGS)}")
    ((tagged, _),) = entries_for(f"airflow.{metric.name}")

    assert labels == {"dag_id": "my__dag", "task_id": "group__infer", "stage": "inference"}
    assert dotted["name"] == tagged["name"] == metric.prometheus
    assert dotted["match_metric_type"] == {"timing": "observer"}.get(metric.kind, metric.kind)
    assert (dotted.get("observer_type") == "histogram") == (metric.kind == "timing")


def test_names_that_begin_others_come_first() -> None:
    # statsd_exporter 0.31 does not find "a.b" once it has seen "a.b.*".
    matches = [entry["match"] for entry in yaml.safe_load(statsd_mapping())["mappings"]]

    for place, match in enumerate(matches):
        assert not any(earlier.startswith(f"{match}.") for earlier in matches[:place])


def test_the_page_lists_every_metric() -> None:
    page = metrics_page()

    assert all(f"`{metric.name}`" in page and f"`{metric.prometheus}`" in page for metric in CATALOGUE)
