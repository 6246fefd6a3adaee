"""Prometheus' rules: when each alert fires and when not, what they ask for, and what the runbook says."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from components import requires_program

from airflow_provider_aiopt.cli.main import make_parser
from airflow_provider_aiopt.telemetry.exposition import DURATION_BUCKETS, statsd_mapping

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROMETHEUS = ROOT / "monitoring" / "prometheus"
ALERTMANAGER = ROOT / "monitoring" / "alertmanager" / "alertmanager.yaml"
RUNBOOK = ROOT / "docs" / "runbook.md"
TESTS = sorted((HERE / "alerts").glob("*.yaml"))
RULE_FILES = sorted((PROMETHEUS / "rules").glob("*.yaml"))
OF_PROMETHEUS = {"up"}


def rules() -> list[dict[str, Any]]:
    files = [yaml.safe_load(path.read_text()) for path in RULE_FILES]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]
RECORDED = {rule["record"] for rule in rules() if "record" in rule}


def run(program: str, package: str, *arguments: str | Path) -> str:
    """Run *program*, which must succeed, and return what it says."""
    command = [requires_program(program, f"apt-get install {package}"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def produced() -> set[str]:
    """The names of all series that come of the mapping for statsd_exporter."""
    names = set()
    for entry in yaml.safe_load(statsd_mapping())["mappings"]:
        is_histogram = entry.get("observer_type") == "histogram"
        suffixes = ("_bucket", "_sum", "_count") if is_histogram else ("",)
        names |= {entry["name"] + suffix for suffix in suffixes}
    return names


def sections() -> dict[str, str]:
    """The sections of the runbook by title."""
    parts = re.split(r"^## (.+)$", RUNBOOK.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands() -> list[str]:
    """The command lines in the runbook."""
    blocks = re.findall(r"```bash\n(.*?)```", RUNBOOK.read_text(), flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def test_prometheus_can_read_its_configuration() -> None:
    assert "SUCCESS" in run("promtool", "prometheus", "check", "config", PROMETHEUS / "prometheus.yaml")


def test_alertmanager_can_read_its_configuration() -> None:
    assert "SUCCESS" in run("amtool", "prometheus-alertmanager", "check-config", ALERTMANAGER)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_it_fires_when_it_should_and_only_then(path: Path) -> None:
    run("promtool", "prometheus", "test", "rules", path)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_each_alert_is_tested_firing_and_not_firing(alert: dict[str, Any]) -> None:
    name = alert["alert"]
    file = yaml.safe_load((HERE / "alerts" / f"{name}.yaml").read_text())
    expected = [
        case["exp_alerts"]
        for test in file["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == name
    ]
    assert any(expected)
    assert not all(expected)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_each_alert_has_a_severity_and_a_section_of_the_runbook(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert {"summary", "description"} < set(alert["annotations"])
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert ROOT / page == RUNBOOK
    assert anchor == alert["alert"].lower()
    section = sections()[alert["alert"]]
    assert all(f"**{part}.**" in section for part in ("Means", "Look", "Do"))


def test_the_runbook_knows_no_other_alert() -> None:
    assert list(sections()) == [alert["alert"] for alert in ALERTS]


def test_the_stage_that_is_slow_for_five_minutes_is_critical() -> None:
    (alert,) = [alert for alert in ALERTS if alert["alert"] == "HighLatency"]

    assert (alert["for"], alert["labels"]["severity"]) == ("5m", "critical")


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_what_a_rule_asks_for_is_there(rule: dict[str, Any]) -> None:
    asked = set(re.findall(r"\b(?:ai_pipeline_\w+|aiopt:[\w:]+|up(?=[{ ]))", rule["expr"]))

    assert asked <= produced() | RECORDED | OF_PROMETHEUS
    assert asked or rule["expr"].startswith("vector(")


def test_what_is_recorded_is_asked_for() -> None:
    asked = {name for rule in rules() for name in re.findall(r"aiopt:[\w:]+", rule["expr"])}

    assert asked >= RECORDED


def test_thresholds_of_latency_are_bounds_of_buckets() -> None:
    latencies = [rule for rule in rules() if rule.get("record") == "aiopt:high_latency:threshold_seconds"]
    thresholds = {float(rule["expr"].removeprefix("vector(").removesuffix(")")) for rule in latencies}

    assert thresholds <= set(DURATION_BUCKETS)
    text = (PROMETHEUS / "rules" / "thresholds.yaml").read_text().replace("\n  # ", " ")
    assert ", ".join(f"{bound:g}" for bound in DURATION_BUCKETS) in text


def test_numbers_are_set_in_one_file() -> None:
    """All others compare with thresholds, so that a deployment changes one file."""
    for rule in ALERTS:
        assert not re.search(r"[<>] *\d*[1-9]", rule["expr"]), rule["expr"]


@pytest.mark.parametrize("line", commands())
def test_the_commands_of_the_runbook_exist(line: str) -> None:
    program, *arguments = shlex.split(line, comments=True)

    if (program, *arguments)[:2] == ("airflow", "aiopt"):
        program, *arguments = arguments
    if program == "aiopt":
        make_parser().parse_args(arguments)  # exits where it does not know them
    else:
        assert line in {
            "airflow dags list-runs DAG_ID",
            "curl http://statsd-exporter:9102/metrics",
        }


def test_the_job_that_an_alert_looks_for_is_scraped() -> None:
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yaml").read_text())
    jobs = {job["job_name"] for job in configuration["scrape_configs"]}

    (alert,) = [alert for alert in ALERTS if alert["alert"] == "StatsdExporterDown"]
    assert set(re.findall(r'job="([^"]+)"', alert["expr"])) <= jobs


def test_the_alerts_that_are_inhibited_exist() -> None:
    configuration = yaml.safe_load(ALERTMANAGER.read_text())
    matchers = [
        matcher
        for rule in configuration["inhibit_rules"]
        for matcher in rule["source_matchers"] + rule["target_matchers"]
    ]

    assert {matcher.removeprefix("alertname = ") for matcher in matchers} <= {a["alert"] for a in ALERTS}
