"""The Grafana dashboard that is shipped, and the files that provision it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from components import requires

from airflow_provider_aiopt.telemetry.catalogue import CATALOGUE

ROOT = Path(__file__).parents[3]
GRAFANA = ROOT / "monitoring" / "grafana"
TEXT = (GRAFANA / "dashboards" / "aiopt.json").read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads(TEXT)
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
PARTS = {"timing": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}
OF_PROMETHEUS = {"ALERTS"}
# The second only narrows what the first and the chosen DAGs found.
OF_NO_DAG = {'alertname="StatsdExporterDown"', 'alertstate="firing"'}


def expressions() -> Iterator[str]:
    for panel in PANELS:
        yield from (target["expr"] for target in panel["targets"])


def queries_of_variables() -> Iterator[str]:
    yield from (variable["query"]["query"] for variable in VARIABLES.values() if variable["type"] == "query")


def test_it_is_what_the_generator_renders() -> None:
    requires("grafana_foundation_sdk", "make install")
    from stage_dashboard import dashboard_json

    assert dashboard_json() == TEXT, "run scripts/render_dashboard.py"


def test_every_metric_in_a_query_is_sent() -> None:
    known = {metric.prometheus + part for metric in CATALOGUE for part in PARTS[metric.kind]}
    asked = {name for query in expressions() for name in re.findall(r"([a-zA-Z_:]\w*)\{", query)}
    asked |= {name for query in queries_of_variables() for name in re.findall(r"\(([a-z]\w*)[{,]", query)}

    assert len(asked) > 15
    assert asked - known == OF_PROMETHEUS


def test_every_query_heeds_the_chosen_dags() -> None:
    for query in expressions():
        for labels in re.findall(r"\{(.*?)\}", query):
            assert labels in OF_NO_DAG or 'dag_id=~"$dag"' in labels, query


def test_the_alert_about_no_dag_is_one_that_is_shipped() -> None:
    rules = yaml.safe_load((ROOT / "monitoring" / "prometheus" / "rules" / "alerts.yaml").read_text())

    assert "StatsdExporterDown" in {rule["alert"] for group in rules["groups"] for rule in group["rules"]}


def test_queries_name_no_other_variables() -> None:
    built_in = {"__range", "__rate_interval"}
    used = {
        name for query in (*expressions(), *queries_of_variables()) for name in re.findall(r"\$(\w+)", query)
    }

    assert used <= set(VARIABLES) | built_in


def test_the_variables() -> None:
    assert list(VARIABLES) == ["datasource", "dag", "stage", "window"]
    assert VARIABLES["datasource"]["query"] == "prometheus"
    for name in "dag", "stage":
        assert VARIABLES[name]["multi"]
        assert VARIABLES[name]["includeAll"]
        assert VARIABLES[name]["current"]["value"] == "$__all"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_every_panel_explains_itself(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_panels_have_their_own_id_and_place() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for one, other in combinations((panel["gridPos"] for panel in DASHBOARD["panels"]), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in DASHBOARD["panels"])


def test_each_curve_of_a_panel_has_a_letter_of_its_own() -> None:
    for panel in PANELS:
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == sorted(set(letters))


def test_the_datasource_is_one_that_the_dashboard_can_choose() -> None:
    (source,) = provisioned("datasources/prometheus.yaml")["datasources"]

    assert source["type"] == VARIABLES["datasource"]["query"]
    assert source["isDefault"]


def test_the_provider_reads_files() -> None:
    (provider,) = provisioned("dashboards/aiopt.yaml")["providers"]

    assert (provider["type"], provider["options"]["path"]) == ("file", "/etc/grafana/dashboards/aiopt")


def provisioned(name: str) -> dict[str, Any]:
    content = yaml.safe_load((GRAFANA / "provisioning" / name).read_text(encoding="utf-8"))
    assert content["apiVersion"] == 1
    return content
